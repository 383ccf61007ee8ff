"""A site's callback address, for the tests of what the fake WeChat posts."""

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class CallbackSite(ThreadingHTTPServer):
    """Keeps each request's query and body. ``answers`` are given first, then success."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], str]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/wechat/callback/"

    @property
    def events(self) -> list[dict[str, str]]:
        """The elements of each body that was posted."""
        roots = [ET.fromstring(body) for _query, body in self.got]  # noqa: S314 - our own XML
        return [{child.tag: child.text or "" for child in root} for root in roots]


class _Handler(BaseHTTPRequestHandler):
    server: CallbackSite

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append((dict(parse_qsl(urlsplit(self.path).query)), body))
        status, answer = self.server.answers.pop(0) if self.server.answers else (200, b"success")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def callback_site() -> Iterator[CallbackSite]:
    """A site that runs during the block."""
    with CallbackSite() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
