"""HTTP/1.1, as little of it as a fake API needs: read a request, write a response.

The standard library's ``BaseHTTPRequestHandler`` parses headers with the e-mail package, which
costs more than everything else here together; a fake that is slower than its client would spoil
every measurement made against it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

MAX_LINE = 65_536
MAX_HEADERS = 100
MAX_BODY = 8 * 1024 * 1024

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"
# JSON from WeChat may arrive as text/plain without a charset (docs/wechat-api.md, 0);
# the fake does it always, so that a client which trusts the header is found out.
WECHAT_JSON = "text/plain"

_MISSING = object()


class BadRequestError(Exception):
    """The bytes that came are not HTTP as this server reads it; ``status`` is the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status
        super().__init__(status.phrase)


@dataclass(slots=True)
class Request:
    """One request, whole. Header names are lower case; ``path`` is unquoted, without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool = True
    target: str = ""
    client_ip: str = ""
    scheme: str = "http"
    _json: Any = field(default=_MISSING, repr=False)

    @property
    def base(self) -> str:
        """Where this server is, as the client calls it: ``http://127.0.0.1:8899``."""
        return f"{self.scheme}://{self.headers.get('host', 'localhost')}"

    def cookie(self, name: str) -> str:
        """The value of a cookie; empty where it was not sent."""
        for pair in self.headers.get("cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return unquote(value)
        return ""

    def json(self) -> Any:
        """The body as JSON, parsed once. Raises ValueError where it is none."""
        if self._json is _MISSING:
            self._json = json.loads(self.body)
        return self._json

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is anything else."""
        try:
            value = self.json()
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def form(self) -> dict[str, str]:
        """The body as a submitted HTML form."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Response:
    """One answer: body, status, content type, further headers."""

    body: bytes = b""
    status: int = HTTPStatus.OK
    content_type: str = HTML
    headers: tuple[tuple[str, str], ...] = ()

    def head(self, *, length: int | None = None, close: bool = False) -> bytes:
        """Status line and headers; ``length`` overrides the body's own length."""
        lines = [
            f"HTTP/1.1 {self.status} {phrase(self.status)}",
            f"Content-Type: {self.content_type}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Length: {len(self.body) if length is None else length}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def phrase(status: int) -> str:
    """The words of a status code."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def json_response(value: Any, *, status: int = HTTPStatus.OK, content_type: str = JSON) -> Response:
    """``value`` as UTF-8 JSON with no ASCII escapes, as WeChat writes it."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, content_type)


def redirect(location: str) -> Response:
    """A redirect after a form, or to another site. ``location`` is quoted, so it stays one line."""
    # Everything that quote() knows as reserved stays as it is, and "%" so that nothing is quoted
    # twice; line breaks and blanks do not.
    quoted = quote(location, safe="%:/?#[]@!$&'()*+,;=~")
    return Response(status=HTTPStatus.SEE_OTHER, headers=(("Location", quoted),))


def read_request(reader: BufferedIOBase, writer: BufferedIOBase) -> Request | None:
    """The next request of a connection, or None where the other side has closed it.

    Raises BadRequestError for what is not HTTP/1.x with a Content-Length.
    """
    line = reader.readline(MAX_LINE + 1)
    while line in (b"\r\n", b"\n"):
        line = reader.readline(MAX_LINE + 1)
    if not line:
        return None
    method, target, version = _request_line(line)
    headers = _headers(reader)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    path, _, query = target.partition("?")
    return Request(
        method=method,
        path=unquote(path) if "%" in path else path,
        query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        headers=headers,
        body=_body(reader, headers),
        keep_alive=_keep_alive(version, headers),
        target=target,
    )


def _request_line(line: bytes) -> tuple[str, str, str]:
    if len(line) > MAX_LINE:
        raise BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG)
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    return words[0], words[1], words[2]


def _headers(reader: BufferedIOBase) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = reader.readline(MAX_LINE + 1)
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(line) > MAX_LINE:
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        headers[name.lower()] = value.strip()
    raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)


def _body(reader: BufferedIOBase, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise BadRequestError(HTTPStatus.LENGTH_REQUIRED)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    if int(length) > MAX_BODY:
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    body = reader.read(int(length))
    if len(body) < int(length):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    return body


def _keep_alive(version: str, headers: Mapping[str, str]) -> bool:
    connection = headers.get("connection", "").lower()
    return connection == "keep-alive" if version == "HTTP/1.0" else connection != "close"
