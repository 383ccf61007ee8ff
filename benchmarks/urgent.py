"""``python -m benchmarks.urgent``: how long one message waits behind a message to a crowd.

    python -m benchmarks.urgent --quick      behind 20,000
    python -m benchmarks.urgent              behind 1,000,000 too, on PostgreSQL; claims among them

A worker sends to the crowd, WeChat answers after 80 ms, and another process writes a message for
one person about twice a second. The time is from its commit to its arrival at the fake API, beside
the same with a worker that has nothing else to do.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import api, databases, scale
from .api import Api
from .processes import Child
from .tasks import Task

LATENCY = 80
SECONDS = 20.0
# The last messages are still to arrive when no more are written.
GRACE = 6.0
QUICK, FULL = (20_000,), (20_000, 1_000_000)
CLAIMS_AMONG = (10_000, 1_000_000)
MEDIAN_AIM, WORST_AIM = 0.5, 2.0


@dataclass(frozen=True)
class Waits:
    """Seconds from commit to arrival, of each message for one person; how many never came."""

    database: str
    behind: int
    seconds: list[float]
    missing: int

    @property
    def line(self) -> str:
        median, worst = statistics.median(self.seconds), max(self.seconds)
        aim = ""
        if self.behind:
            met = median <= MEDIAN_AIM and worst <= WORST_AIM and not self.missing
            aim = "  met" if met else "  NOT MET"
        return (
            f"{self.database:10s} behind {self.behind:9,d}: {len(self.seconds):3d} messages,"
            f" median {median:.2f} s, worst {worst:.2f} s, {self.missing} missing{aim}"
        )


def measure(running: Api, name: str, database: str, behind: int) -> Waits:
    """What messages for one person wait behind so many."""
    running.set_latency(LATENCY)
    crowd = Task("backlog", running.plain, database, SECONDS + GRACE, behind)
    one = Task("passing", running.plain, database, SECONDS, way=f"{name[0]}{behind}x")
    with ExitStack() as stack:
        children = []
        for task in (crowd, one):
            child = Child(task, running.ca_bundle)
            stack.callback(child.end)
            children.append(child)
        for child in children:
            child.go()
        worker, passing = (child.sample() for child in children)
    if worker.found["messages"] >= behind > 0:
        raise RuntimeError("The crowd was sent before the time was up: nothing waited behind it.")
    arrived = running.arrivals()
    committed = passing.found["committed"]
    waits = [arrived[openid] - moment for openid, moment in committed.items() if openid in arrived]
    return Waits(name, behind, waits, len(committed) - len(waits))


def _claims(running: Api, database: str, sizes: Sequence[int]) -> None:
    crowds = [scale.measure(running, database, size, 10.0) for size in sizes]
    growth = crowds[-1].claims_ms[-1] / crowds[0].claims_ms[-1]
    print(f"A claim among {sizes[-1]:,} rows over one among {sizes[0]:,}: {growth:.2f} (aim ≤ 2)")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.urgent",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="behind 20,000 only")
    sizes = QUICK if parser.parse_args().quick else FULL
    with (
        tempfile.TemporaryDirectory() as folder,
        databases.postgresql(f"{databases.NAME}_urgent") as postgresql,
        api.running(Path(folder)) as running,
    ):
        named = {"SQLite": databases.sqlite(Path(folder)), "PostgreSQL": postgresql}
        for name, database in named.items():
            if not database:
                continue
            # One writer's file of a million rows says nothing that 20,000 do not.
            most = QUICK if name == "SQLite" else sizes
            databases.populate(database, max(most))
            for behind in (0, *most):
                print(measure(running, name, database, behind).line, flush=True)
        if postgresql and sizes == FULL:
            _claims(running, postgresql, CLAIMS_AMONG)


if __name__ == "__main__":
    main()
