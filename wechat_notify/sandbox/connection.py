"""Sockets: one listener, one thread for each connection, and the ways a connection goes wrong."""

import logging
import socket
import socketserver
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import api, control, faults, pages
from .faults import Fault
from .protocol import BadRequestError, Request, Response, phrase, read_request
from .refusals import Refusal
from .state import State

logger = logging.getLogger(__name__)

BACKLOG = 1024
CLOSING_SECONDS = 5.0
# Close with this and the kernel sends RST instead of FIN.
LINGER_AND_RESET = struct.pack("ii", 1, 0)

GATEWAY_PAGE = (
    "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n"
    "<center><h1>{status}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


class Listener(socketserver.ThreadingTCPServer):
    """Accepts connections, each served by its own daemon thread until either side hangs up."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(
        self, address: tuple[str, int], state: State, ssl_context: ssl.SSLContext | None
    ) -> None:
        self.state = state
        self.closing = threading.Event()
        self._ssl_context = ssl_context
        self._open: set[socket.socket] = set()
        self._idle = threading.Condition()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._ssl_context is not None:
            # The handshake is left to the connection's own thread: a slow client must not keep
            # others from being accepted.
            connection = self._ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self._idle:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        # No shutdown() first: it would send FIN, and a scripted reset is to be a reset.
        request.close()
        with self._idle:
            self._open.discard(request)
            self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error; anything else is, and is logged."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            logger.error("The sandbox could not answer a request.", exc_info=error)

    def close(self) -> None:
        """Stop accepting, hang up on every client, and wait for their threads to end."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._idle:
            for connection in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            self._idle.wait_for(lambda: not self._open, CLOSING_SECONDS)


class Connection(socketserver.StreamRequestHandler):
    """Reads requests one after the other and answers them."""

    server: Listener

    def handle(self) -> None:
        secure = isinstance(self.connection, ssl.SSLSocket)
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()
        self._new = True
        try:
            while (request := read_request(self.rfile, self.wfile)) is not None:
                request.client_ip = str(self.client_address[0])
                request.scheme = "https" if secure else "http"
                if not self._serve(request) or not request.keep_alive:
                    return
        except BadRequestError as error:
            self._write(Response(str(error).encode(), error.status), close=True)

    def _serve(self, request: Request) -> bool:
        """Answer one request; False where the connection is not to be used again."""
        if request.path in api.ROUTES:
            return self._serve_api(request)
        state = self.server.state
        answer = control.answer if request.path.startswith(control.PREFIX) else pages.answer
        self._write(answer(state, request), close=not request.keep_alive)
        return True

    def _serve_api(self, request: Request) -> bool:
        state = self.server.state
        state.traffic.enter(request.path, new_connection=self._new)
        self._new = False
        try:
            seconds, fault = state.faults.take(request.path, lambda: api.concerns(request))
            self._pause(state.account.latency + seconds)
            if fault is not None and fault.kind != faults.FAIL:
                return self._go_wrong(fault, request)
            if fault is not None:
                response = api.refuse(state, request, Refusal(fault.errcode, fault.errmsg))
            else:
                response = api.answer(state, request)
        finally:
            state.traffic.leave()
        self._write(response, close=not request.keep_alive)
        return True

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self.server.closing.wait(seconds)

    def _write(self, response: Response, *, close: bool = False) -> None:
        self.wfile.write(response.head(close=close) + response.body)

    def _go_wrong(self, fault: Fault, request: Request) -> bool:
        response = Response()
        if fault.accepted or fault.kind == faults.TRUNCATE:
            response = api.answer(self.server.state, request)
        return TROUBLES[fault.kind](self, fault, response)

    def reset(self, fault: Fault, response: Response) -> bool:
        """Tear the connection down."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AND_RESET)
        return False

    def gateway_error(self, fault: Fault, response: Response) -> bool:
        """What a proxy before the API says when it cannot reach it."""
        status = f"{fault.status} {phrase(fault.status)}"
        self._write(Response(GATEWAY_PAGE.format(status=status).encode(), fault.status))
        return True

    def truncate(self, fault: Fault, response: Response) -> bool:
        """Half of the body; framed as the whole, or framed as what it is."""
        half = response.body[: len(response.body) // 2]
        length = len(response.body) if fault.cut_connection else len(half)
        self.wfile.write(response.head(length=length) + half)
        return not fault.cut_connection

    def stall(self, fault: Fault, response: Response) -> bool:
        """Say nothing at all, then hang up."""
        self._pause(fault.seconds)
        return False


TROUBLES: dict[str, Callable[[Connection, Fault, Response], bool]] = {
    faults.RESET: Connection.reset,
    faults.HTTP_ERROR: Connection.gateway_error,
    faults.TRUNCATE: Connection.truncate,
    faults.STALL: Connection.stall,
}
