"""HTTP to api.weixin.qq.com: pooled connections, one answer or one ``TransportError`` a request.

One ``requests.Session`` a thread, all on one pooled adapter as wide as the threads. requests and
urllib3 would read the CA bundle again for every new connection (about 20 ms of CPU); here one
SSLContext is shared. The proxies and CA bundle of the environment are honoured, looked up once.
"""

import json
import logging
import os
import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, InvalidSchema, InvalidURL, ProxyError
from requests.utils import DEFAULT_CA_BUNDLE_PATH, default_user_agent
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError, HTTPError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from ..exceptions import InvalidSettings, TransportError
from .forks import renew_after_fork
from .masking import RedactingFilter

_HTTP_OK = range(200, 300)
_SERVER_ERROR = 500
# Who takes nothing at present has taken nothing (RFC 9110, 15.6.4). Behind every other 5xx page
# stands a server that may have done its work before it, or the way back from it, broke.
_UNAVAILABLE = 503

_redacting = RedactingFilter()


class Transport:
    """The connections to one API host. Thread-safe; a forked child starts with none.

    ``timeout`` is (connect, read) in seconds, ``pool_size`` how many connections are kept open,
    ``ca_bundle`` a file or directory of CA certificates that goes before REQUESTS_CA_BUNDLE and
    CURL_CA_BUNDLE. Raises ``InvalidSettings`` where the base or the bundle cannot be used.
    """

    def __init__(
        self,
        api_base: str,
        *,
        timeout: tuple[float, float] = (5, 10),
        pool_size: int = 32,
        ca_bundle: str = "",
    ) -> None:
        self.api_base = _checked_base(api_base)
        self.pool_size = pool_size
        environment = requests.Session().merge_environment_settings(
            self.api_base, {}, False, ca_bundle or True, None
        )
        self._context = (
            _ssl_context(environment["verify"]) if self.api_base.startswith("https:") else None
        )
        self._options: dict[str, Any] = {
            "timeout": timeout,
            "proxies": environment["proxies"],
            "stream": False,
            "verify": True,
            "cert": None,
        }
        _keep_tokens_out_of_logs()
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Forget every connection without closing it: in a forked child they are the parent's."""
        self._adapter = _SharedContextAdapter(self.pool_size, self._context)
        self._local = threading.local()

    def close(self) -> None:
        """Close the idle connections. A later request opens new ones."""
        self._adapter.close()

    def prepare(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> requests.PreparedRequest:
        """A request to ``path`` under the API base; may be copied and sent any number of times."""
        # The fewer headers, the cheaper: answers are too short to be worth compressing.
        headers = {"User-Agent": default_user_agent()}
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        return requests.Request(
            method, self.api_base + path, params=params, data=body, headers=headers
        ).prepare()

    def send(self, request: requests.PreparedRequest) -> dict[str, Any]:
        """WeChat's answer to ``request``, as a dict whose ``errcode``, if any, is an int.

        Raises ``TransportError`` where there is none. Its ``maybe_sent`` is False without a
        ``status`` where no connection was made, False with one where a gateway or proxy refused
        in WeChat's place, and True where the request left and nothing usable came back.
        """
        try:
            response = self._session().send(request, **self._options)
        except (requests.RequestException, HTTPError) as error:
            failure = _failure(error)
        else:
            return _answer(response.status_code, response.content)
        # Raised here and not above, so that no context holds the URL with its token.
        raise failure

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _Session()
            session.mount("https://", self._adapter)
            session.mount("http://", self._adapter)
            self._local.session = session
        return session


class _Session(requests.Session):
    """A session without cookies, redirects and hooks: this API knows none, and looking for them
    in every answer costs a twentieth of a message's CPU."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = self.get_adapter(request.url or "").send(request, **options)
        response.content  # noqa: B018  # read now: an answer cut short is a failure of sending
        return response


class _PlainConnection(HTTPConnection):
    """A connection that writes a request's head and body at once.

    http.client writes them one after the other: two system calls, two packets, two TLS records.
    """

    _held: list[Any] | None = None

    def request(self, *args: Any, **options: Any) -> None:
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


class _Connection(_PlainConnection, HTTPSConnection):
    """A TLS connection whose every failure to connect says so.

    urllib3 reports a handshake that times out or is cut off just as it reports a lost answer. To
    a sender the difference is whether the message may have left.
    """

    def connect(self) -> None:
        try:
            super().connect()
        # ValueError: urllib3's own CertificateError.
        except (OSError, HTTPException, ValueError) as error:
            raise NewConnectionError(self, type(error).__name__) from error


class _PlainConnectionPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _ConnectionPool(HTTPSConnectionPool):
    ConnectionCls = _Connection


_POOLS = {"http": _PlainConnectionPool, "https": _ConnectionPool}


class _SharedContextAdapter(HTTPAdapter):
    """Keeps ``width`` connections open to each host, all TLS ones on one context. No retries."""

    def __init__(self, width: int, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._pool: Any = None
        super().__init__(pool_maxsize=width, max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if not proxy.lower().startswith("socks"):
            options["proxy_ssl_context"] = self._context
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """The one pool there is: one host, one way there. requests looks for it every time."""
        pool = self._pool
        if pool is None:
            pool = self._pool = super().get_connection_with_tls_context(*args, **options)
        return pool

    def close(self) -> None:
        self._pool = None
        super().close()

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context holds the CA bundle, and naming it here would have it read again."""


def _keep_tokens_out_of_logs() -> None:
    for name in ("urllib3.connectionpool", "urllib3.connection"):
        logging.getLogger(name).addFilter(_redacting)


def _checked_base(api_base: str) -> str:
    parts = urlsplit(api_base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise InvalidSettings(
            f"API_BASE must look like https://api.weixin.qq.com, not {api_base!r}."
        )
    return api_base.rstrip("/")


def _ssl_context(bundle: str | bool | None) -> ssl.SSLContext:
    """A verifying client context with the CA certificates of ``bundle``, or requests' own ones."""
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


def _answer(status: int, content: bytes) -> dict[str, Any]:
    answer = _json_object(content)
    if status in _HTTP_OK:
        if answer is None:
            raise TransportError(
                "WeChat's answer could not be read.", maybe_sent=True, status=status
            )
        return answer
    if answer is not None and answer.get("errcode"):
        return answer
    maybe_sent = status >= _SERVER_ERROR and status != _UNAVAILABLE
    raise TransportError(f"HTTP {status}", maybe_sent=maybe_sent, status=status)


def _json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object in ``content``, whatever its Content-Type said; None if it is not one."""
    try:
        answer = json.loads(content.decode("utf-8"))
        if isinstance(answer, dict) and "errcode" in answer:
            answer["errcode"] = int(answer["errcode"])
    except (ValueError, TypeError):
        return None
    return answer if isinstance(answer, dict) else None


def _failure(error: Exception) -> TransportError:
    reason = _reason(error)
    if _is_not_sent(error):
        return TransportError(f"No connection to WeChat: {reason}.", maybe_sent=False)
    return TransportError(f"No answer from WeChat: {reason}.", maybe_sent=True)


def _is_not_sent(error: Exception) -> bool:
    if isinstance(error, ConnectTimeout | ProxyError | InvalidURL | InvalidSchema):
        return True
    # requests puts urllib3's exception in the first argument; where no connection was made it is
    # a MaxRetryError (we allow no retry at all) with the reason.
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", inner), NewConnectionError | ClosedPoolError)


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words: never its own text, which holds the URL and its token."""
    inner: BaseException | None = error
    while isinstance(inner, OSError | HTTPError | HTTPException):
        error, inner = inner, inner.__cause__ or inner.__context__
    return str(getattr(error, "strerror", None) or type(error).__name__)
