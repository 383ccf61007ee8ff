"""What an HTTP answer, or the lack of one, says: JSON, or a ``TransportError`` in plain words."""

import json
import re
import ssl
import zlib
from http.client import HTTPException
from typing import Any

from requests.exceptions import (
    ConnectTimeout,
    InvalidProxyURL,
    InvalidSchema,
    InvalidURL,
    ProxyError,
    ReadTimeout,
)
from urllib3.exceptions import (
    ClosedPoolError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ReadTimeoutError,
)

from ..exceptions import TransportError
from ..types import Secret, SecretBytes

# The longest answer known is a page of 10,000 openids, some 320 kB (docs/wechat-api.md, 7).
LARGEST_ANSWER = 2 * 1024 * 1024

_PART = 64 * 1024
_HTTP_OK = range(200, 300)
_SERVER_ERROR = 500
# Who takes nothing at present has taken nothing (RFC 9110, 15.6.4). Behind every other 5xx page
# stands a server that may have done its work before it, or the way back from it, broke.
_UNAVAILABLE = 503
# WeChat answers 200. These come from a proxy or a login page between this server and WeChat.
_INTERCEPTED = {
    **dict.fromkeys((301, 302, 303, 307, 308), "something on the way to WeChat redirects it"),
    401: "something on the way to WeChat asks for a user name and password",
    407: "the proxy asks for a user name and password",
    511: "the network asks for a sign-in",
}
# An errcode is stored as a 32-bit number.
_ERRCODES = range(-(2**31), 2**31)
_TOKENS = ("access_token", "refresh_token")


def body_of(raw: Any) -> SecretBytes:
    """The body of a ``urllib3.HTTPResponse``, decoded.

    Raises ``TransportError`` where it is too large, and urllib3's errors where it is cut short.
    """
    parts: list[bytes] = []
    size = 0
    for part in raw.stream(_PART, decode_content=False):
        size += len(part)
        if size > LARGEST_ANSWER:
            raise _too_large()
        parts.append(part)
    content = b"".join(parts)
    encoding = raw.headers.get("Content-Encoding", "")
    return SecretBytes(_decoded(content) if encoding else content)


def _decoded(content: bytes) -> bytes:
    """gzip or deflate taken off; b"" where it is neither. We ask for none, some send it anyway."""
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = decoder.decompress(content, LARGEST_ANSWER + 1)
    except zlib.error:
        return b""
    if len(plain) > LARGEST_ANSWER:
        raise _too_large()
    return plain


def _too_large() -> TransportError:
    return TransportError("WeChat's answer is too large.", maybe_sent=True)


def answer_in(status: int, content: SecretBytes) -> dict[str, Any]:
    """The JSON object in an answer, if it is WeChat's own; else a ``TransportError``."""
    answer = _json_object(content)
    if status in _HTTP_OK:
        if answer is None:
            raise TransportError(
                "WeChat's answer could not be read.", maybe_sent=True, status=status
            )
        return answer
    if answer is not None and answer.get("errcode"):
        return answer
    if status in _INTERCEPTED:
        words = f"HTTP {status}: {_INTERCEPTED[status]}."
        raise TransportError(words, maybe_sent=False, status=status)
    maybe_sent = status >= _SERVER_ERROR and status != _UNAVAILABLE
    raise TransportError(f"HTTP {status}", maybe_sent=maybe_sent, status=status)


def was_intercepted(error: TransportError) -> bool:
    """Whether a proxy or login page answered in WeChat's place, so that nothing was sent."""
    return error.status in _INTERCEPTED


def _json_object(content: SecretBytes) -> dict[str, Any] | None:
    """The JSON object in ``content``, whatever its Content-Type said; None if it is not one."""
    try:
        answer = json.loads(content.decode("utf-8"))
        if not isinstance(answer, dict):
            return None
        if "errcode" in answer:
            answer["errcode"] = int(answer["errcode"])
    # OverflowError: int(1e999). RecursionError: deep nesting.
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    if answer.get("errcode", 0) not in _ERRCODES:
        return None
    for name in _TOKENS:
        if isinstance(answer.get(name), str):
            answer[name] = Secret(answer[name])
    return answer


def failure_of(error: Exception) -> TransportError:
    """What an exception of requests or urllib3 says, and whether the request may have left."""
    if _is_not_sent(error):
        return TransportError(f"No connection to WeChat: {_reason(error)}.", maybe_sent=False)
    return TransportError(f"No answer from WeChat: {_reason(error)}.", maybe_sent=True)


def _is_not_sent(error: Exception) -> bool:
    if isinstance(
        error, ConnectTimeout | ProxyError | InvalidURL | InvalidSchema | LocationValueError
    ):
        return True
    # requests puts urllib3's exception in the first argument; where no connection was made it is
    # a MaxRetryError (we allow no retry at all) with the reason.
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", inner), NewConnectionError | ClosedPoolError)


_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # http.client's own words


def _reason(error: BaseException) -> str:
    """The cause in a few words; not an exception's own text, which may hold the URL and token."""
    if isinstance(error, InvalidProxyURL):
        return "the address of the proxy cannot be used"
    if isinstance(error, InvalidSchema) and "SOCKS" in str(error):
        return "the proxy is a SOCKS proxy, which needs PySocks: install requests[socks]"
    if isinstance(error, ReadTimeout | ReadTimeoutError):
        return "it did not come in time"
    inner = _innermost(error)
    if tunnel := _TUNNEL.match(str(inner)):
        status = int(tunnel[1])
        refused = _INTERCEPTED.get(status, "the proxy refuses the connection")
        return f"{refused} (HTTP {status})"
    return str(getattr(inner, "strerror", None) or type(inner).__name__)


def failed_handshake(error: BaseException) -> str:
    """Why a TLS handshake failed, in OpenSSL's words; "" if something else has failed."""
    inner = _innermost(error)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    return str(inner.reason or inner.strerror) if isinstance(inner, ssl.SSLError) else ""


def _innermost(error: BaseException) -> BaseException:
    inner: BaseException | None = error
    while isinstance(inner, OSError | HTTPError | HTTPException):
        error, inner = inner, inner.__cause__ or inner.__context__
    return error
