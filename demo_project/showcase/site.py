"""The site in this process, on a port of 127.0.0.1, from ``with`` to its end."""

import threading
from types import TracebackType
from typing import Any

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import (
    ThreadedWSGIServer,
    WSGIRequestHandler,
    get_internal_wsgi_application,
)

HOST = "127.0.0.1"


class QuietHandler(WSGIRequestHandler):
    """Says nothing of each request; errors have a traceback in the log anyhow."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing."""


class Site:
    """What ``runserver`` runs, without its reloader. ``port`` 0: the system picks one."""

    def __init__(self, port: int = 0) -> None:
        self._server = ThreadedWSGIServer((HOST, port), QuietHandler)
        # A browser that keeps its connection open must not keep the process from ending.
        self._server.daemon_threads = True
        self._server.set_app(StaticFilesHandler(get_internal_wsgi_application()))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="site")
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> "Site":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
