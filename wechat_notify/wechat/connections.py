"""Connections to one API host: pooled, one SSLContext for all, each answer within its time.

requests and urllib3 leave five things to be done. They read the CA bundle again for every new
connection (about 20 ms of CPU). They work out for every request where it goes, and look into every
answer for cookies. They write a request's head and body in two packets. Their read timeout is for
one read: an answer that comes byte by byte never ends. They report a TLS handshake that fails just
as they report a lost answer. It is for these that requests' and urllib3's classes are extended
here. Together they halve the CPU of a message.
"""

import functools
import io
import os
import ssl
import time
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from ..exceptions import InvalidSettings


class PooledAdapter(HTTPAdapter):
    """Keeps ``width`` connections open to one host, all TLS ones on ``context``. No retries."""

    def __init__(self, width: int, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._pool: Any = None
        self._target: tuple[str, str] = ("", "")
        super().__init__(pool_maxsize=width, max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)
        _use_our_connections(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if not proxy.lower().startswith("socks"):
            options["proxy_ssl_context"] = self._context
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **options)
        _use_our_connections(manager)
        return manager

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """The one pool there is: one host, one way there. requests looks for it every time."""
        pool = self._pool
        if pool is None:
            pool = self._pool = super().get_connection_with_tls_context(*args, **options)
        return pool

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """What to ask the host or proxy for. The last one is kept: it changes with the token."""
        url, target = self._target
        if url != request.url:
            url, target = self._target = str(request.url), super().request_url(request, proxies)
        return target

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """The answer, its body unread. requests would look for cookies, which nobody sends back."""
        response: Any = Response()
        response.status_code, response.reason = resp.status, resp.reason
        response.headers, response.raw = resp.headers, resp
        response.request, response.url = req, req.url
        return cast("Response", response)

    def close(self) -> None:
        self._pool = None
        super().close()

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context holds the CA bundle, and naming it here would have it read again."""


def ssl_context(bundle: str | bool | None) -> ssl.SSLContext:
    """A verifying client context with the CA certificates of ``bundle``, or requests' own ones.

    Raises ``InvalidSettings`` where the bundle cannot be read.
    """
    path = bundle if isinstance(bundle, str) else DEFAULT_CA_BUNDLE_PATH
    context = create_urllib3_context()
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:
        raise InvalidSettings(f"The CA bundle {path!r} cannot be read.") from error
    return context


def _use_our_connections(manager: Any) -> None:
    manager.pool_classes_by_scheme = {
        scheme: _pool_class(pool_class)
        for scheme, pool_class in manager.pool_classes_by_scheme.items()
    }


@functools.cache
def _pool_class(base: type[Any]) -> type[Any]:
    """``base``, one of urllib3's pools (plain, TLS or SOCKS), with our way to connect and read."""
    if issubclass(base.ConnectionCls, _Connection):
        return base
    connection = type("Connection", (_Connection, base.ConnectionCls), {})
    return type("ConnectionPool", (base,), {"ConnectionCls": connection})


class _AnswerInTime(io.RawIOBase):
    """Reads one answer from ``sock``, all of it within the timeout that ``sock`` has now."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw = raw
        self._sock = sock
        self._end = time.monotonic() + sock.gettimeout()
        self._is_first = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        if not self._is_first:  # The first read has the whole time: no system call to say so.
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("The answer came too slowly.")
            self._sock.settimeout(left)
        self._is_first = False
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp: Any = io.BufferedReader(_AnswerInTime(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response
    _held: list[Any] | None = None

    def connect(self) -> None:
        """Connect, or say that no connection was made: then the message cannot have left."""
        try:
            super().connect()
        # ValueError: urllib3's own CertificateError.
        except (OSError, HTTPException, ValueError) as error:
            raise NewConnectionError(self, type(error).__name__) from error

    def request(self, *args: Any, **options: Any) -> None:
        """Write head and body at once: one system call, one packet, one TLS record."""
        self._held = []
        try:
            super().request(*args, **options)
            whole = b"".join(self._held)
        finally:
            self._held = None
        super().send(whole)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)
