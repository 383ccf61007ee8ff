"""Ports of 127.0.0.1 for servers of a test's own. Without pytest, because benchmarks use it too."""

import itertools
import os
import socket
from contextlib import suppress

# Below those that systems give to whoever opens a connection, so that nobody gets one before the
# server listens there. Each of xdist's processes has a thousand of its own.
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.count(20_000 + 1_000 * (_process % 12))


def free_port() -> int:
    """A port on which nobody listens; another one at each call."""
    for port in _ports:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("there are more ports than these")


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except OSError:
        return False
    return True
