"""A wire between the app and the fake WeChat that a test can cut, stop, hold and mend."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.waiting import wait_until


class Wire:
    """Forwards TCP to ``url``. ``cut()`` refuses connections, ``silence()`` never answers them.

    ``hold()`` keeps requests back until ``release()``.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._open: set[socket.socket] = set()
        self._silent = threading.Event()
        self._changed = threading.Condition()
        self._holds: set[bytes] = set()
        self._held = 0
        self._listener: socket.socket | None = None
        self._port = 0
        self.connections = 0
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Let everything through."""
        self._silent.clear()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=256)
            self._port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        if self._listener is not None:
            # Not close() alone: the thread in accept() would take one more connection.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self._end_connections()

    def silence(self) -> None:
        """Accept connections and say nothing; what is under way gets no answer either."""
        self._silent.set()

    def hold(self, about: str = "") -> None:
        """Keep back the requests in which this stands."""
        with self._changed:
            self._holds.add(about.encode())

    def wait_for_held(self, requests: int) -> None:
        """Wait until so many are kept back at this moment."""
        wait_until(lambda: self._held >= requests)

    def release(self, *about: str) -> None:
        """Let go what ``hold()`` with the same words keeps back; without any, everything."""
        with self._changed:
            self._holds -= {one.encode() for one in about} or self._holds.copy()
            self._changed.notify_all()

    def _wait_while_held(self, data: bytes) -> None:
        def is_held() -> bool:
            return any(about in data for about in self._holds)

        with self._changed:
            if is_held():
                self._held += 1
                self._changed.wait_for(lambda: not is_held())
                self._held -= 1

    def _end_connections(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _address = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[near], daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        self._open |= {near, far}
        back = threading.Thread(
            target=self._carry, args=[far, near, lambda data: None], daemon=True
        )
        back.start()
        self._carry(near, far, self._wait_while_held)
        back.join()
        self._open -= {near, far}
        near.close()
        far.close()

    def _carry(
        self, source: socket.socket, target: socket.socket, before: Callable[[bytes], None]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                before(data)
                if self._silent.is_set():
                    continue  # swallowed
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    """A wire to ``url`` for one test."""
    made = Wire(url)
    try:
        yield made
    finally:
        made.cut()
        made.release()
