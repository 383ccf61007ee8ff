"""A served site, gunicorn with threads: how long its pages take while it sends to a crowd."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from .. import processes
from ..api import Api
from .load import Latency, get, latency

WECHAT_MS = 80
CROWD = 20_000
WRITES, TELL = "writes/{}/", "tell/{}/"
# Pages of each kind in turn, so that a noisy minute hits both.
TURNS = 3
SETTLE_SECONDS = 5.0


@dataclass(frozen=True)
class Served:
    """``rate`` pages a second. ``without``: those that write the same rows themselves; ``tells``:
    those that notify. ``…_busy``: while a crowd is told."""

    database: str
    rate: int
    without: Latency
    tells: Latency
    without_busy: Latency
    tells_busy: Latency


def measure(api: Api, name: str, database: str, seconds: float, rate: int) -> Served:
    """Pages for ``seconds`` of each of four kinds."""
    api.set_latency(WECHAT_MS)
    with gunicorn(api, database) as port:
        without, tells = _both(port, seconds, rate)
        api.take_counts()
        get(port, f"crowd/{CROWD}/")
        without_busy, tells_busy = _both(port, seconds, rate)
        if not api.take_counts()["messages"]:
            raise RuntimeError("Nothing was sent meanwhile.")
    return Served(name, rate, without, tells, without_busy, tells_busy)


def idle_statements(api: Api, database: str, seconds: float) -> int:
    """How many statements a served site asks by itself within so long, when nothing is due."""
    with gunicorn(api, database) as port:
        get(port, "clear/")  # of the crowd
        time.sleep(SETTLE_SECONDS)
        before = int(get(port, "statements/"))
        time.sleep(seconds)
        return int(get(port, "statements/")) - before


def _both(port: int, seconds: float, rate: int) -> tuple[Latency, Latency]:
    """Of the pages that write, and of those that notify."""
    found: dict[str, list[Latency]] = {WRITES: [], TELL: []}
    for _ in range(TURNS):
        for page, latencies in found.items():
            latencies.append(latency(port, page, seconds / TURNS, rate))
    without, tells = (_middle(latencies) for latencies in found.values())
    return without, tells


def _middle(found: list[Latency]) -> Latency:
    """The median turn, each figure's own."""
    middle = len(found) // 2
    return Latency(
        sorted(one.p50 for one in found)[middle], sorted(one.p99 for one in found)[middle]
    )


@contextmanager
def gunicorn(api: Api, database: str, dispatcher: str = "background") -> Iterator[int]:
    """One process with eight threads; its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    command = ["gunicorn", f"--bind=127.0.0.1:{port}", "--worker-class=gthread", "--threads=8"]
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--log-level=warning", "benchmarks.waiting.site"],
        env=processes.environment(database, None, api.plain, dispatcher),
        start_new_session=True,
    ) as process:
        try:
            _wait(port)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _wait(port: int) -> None:
    patience = time.monotonic() + 60
    while True:
        try:
            get(port, "statements/")
        except OSError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.1)
        else:
            return
