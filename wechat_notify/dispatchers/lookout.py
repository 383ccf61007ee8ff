"""The thread of a process that serves requests and leaves the sending to others.

Duties are run by whoever delivers. Where nobody does, the processes that serve the site are the
only ones that can notice it. One of them does what is registered for that, once a minute; see
``duties``.
"""

import threading

from django.db import connections

from .. import duties
from ..wechat import threads
from ..wechat.forks import NoFork, PerProcess

MOST_SECONDS = 60.0


class Lookout:
    """This process's thread; it runs from the first request on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._connected = NoFork()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread unless it runs, in a process that can run threads."""
        if threads.forks_later():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threads.start(self._loop, "wechat-notify-lookout")

    def end(self) -> None:
        """End the thread, and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        while not self._stop.is_set():
            with self._connected:
                duties.run_due(only_where_served=True)
                connections.close_all()  # the cache may be in the database
            self._stop.wait(min(duties.next_due(only_where_served=True), MOST_SECONDS))


lookout = PerProcess(Lookout)
