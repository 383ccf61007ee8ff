"""A server that speaks on a bare socket, and one request to it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE
from wechat_notify.exceptions import TransportError
from wechat_notify.wechat.transport import Transport

SEND = "/cgi-bin/message/template/send"
TIMEOUT = (20, 20)
# For localhost and 127.0.0.1, signed by itself.
CERTIFICATE = Path(__file__).parent / "localhost.pem"
SECRET = "TOKEN-NOBODY-MAY-SEE"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"errcode":0}'


def ask(base: str, **options: Any) -> dict[str, Any]:
    """One POST to the send endpoint, with a token in the query as WeChat wants it."""
    transport = Transport(base, **{"timeout": TIMEOUT, **options})
    try:
        return transport.request("POST", SEND, {"access_token": SECRET}, b"{}")
    finally:
        transport.close()


def send_once(transport: Transport) -> dict[str, Any]:
    return transport.request("POST", SEND, {"access_token": "x"}, b"{}")


def failure(base: str, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        ask(base, **options)
    error = caught.value
    assert SECRET not in f"{error!r} {error}"
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


@contextmanager
def tcp_server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does ``talk`` with its one client; its port. It has ended after the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # the client may hang up at any time
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE)


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else can meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


class Drip:
    """Answers ``begin`` bytes at once and then one every tenth of a second.

    ``finished``: the client has waited for all of it.
    """

    def __init__(self, answer: bytes, begin: int = 0) -> None:
        self._answer = answer
        self._begin = begin
        self.finished = False

    def __call__(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(self._answer[: self._begin])
        for number in range(self._begin, len(self._answer)):
            time.sleep(0.1)
            connection.sendall(self._answer[number : number + 1])
        self.finished = True
