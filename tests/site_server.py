"""The inside of a site in a process of its own: Django's threaded server, and commands on stdin."""

import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


class Handler(WSGIRequestHandler):
    # Head and body leave in two segments; the second must not wait 40 ms for an ACK of the first.
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        """Quiet."""


def run(application: Any, commands: Mapping[str, Callable[..., Any]]) -> None:
    """Serve until stdin ends. The port is printed, and then a line of JSON for each command."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), Handler)
    server.set_app(application)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    _say(str(server.server_port))
    for line in sys.stdin:
        name, *arguments = line.split()
        _say(json.dumps(commands[name](*arguments)))
    server.shutdown()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
