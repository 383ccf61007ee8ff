"""``python -m benchmarks``: measure everything side by side, and write docs/benchmarks.md.

    python -m benchmarks                  three runs of every cell, up to a million recipients
    python -m benchmarks --quick          one run of fewer cells, up to a hundred thousand
    python -m benchmarks --but-waiting    all but what people wait for (20 minutes)

PostgreSQL: the server named by DATABASE_URL, else the one at 127.0.0.1:5432. A database of its own
is created there and dropped at the end. Celery: RabbitMQ at 127.0.0.1:5672 and Redis at
127.0.0.1:6379, or the one of its kind that CELERY_BROKER_URL names. What does not answer is left
out.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import (
    aims,
    api,
    databases,
    enqueue,
    machine,
    plot,
    processes,
    report,
    scale,
    sending,
    startup,
)
from .aims import Results
from .api import Api
from .tasks import Task
from .waiting import measurements
from .waiting.measurements import Waiting

DOCS = Path(__file__).resolve().parent.parent / "docs"


@dataclass(frozen=True)
class Plan:
    """How much is measured. Full: about 50 minutes on two cores. Quick: less than 8 minutes."""

    runs: int = 3
    seconds: float = 4.0
    latencies: tuple[int, ...] = (0, 20, 80)
    people: int = 1_000_000
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    streamed_most: int = 100_000
    crowds: tuple[int, ...] = (10_000, 1_000_000)
    crowd_seconds: float = 20.0
    waiting: measurements.Plan = measurements.FULL


QUICK = Plan(
    runs=1,
    seconds=2.0,
    latencies=(80,),
    people=100_000,
    sizes=(10_000, 100_000),
    streamed_most=10_000,
    crowds=(10_000, 100_000),
    crowd_seconds=5.0,
    waiting=measurements.QUICK,
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one run, fewer cells")
    parser.add_argument(
        "--docs", type=Path, default=DOCS, help="where the page and its picture are written"
    )
    parser.add_argument(
        "--but-waiting", action="store_true", help="keep what benchmarks.waiting has written"
    )
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        databases.postgresql() as postgresql,
        api.running(Path(folder)) as running,
    ):
        for results in _measure(plan, running, databases.sqlite(Path(folder)), postgresql):
            plot.draw(results.sending, options.docs / "images" / "benchmarks.svg")
            before = report.render(results, machine.describe(postgresql), plan.seconds, plan.runs)
            _write(options.docs / "benchmarks.md", before, results.waiting)
            if options.but_waiting:
                break
    print()
    aims.show([*aims.judge(results), *aims.judge_waiting(results.waiting)])
    print(f"\n{time.monotonic() - begun:.0f} seconds.")


def _write(page: Path, before: str, waiting: Sequence[Waiting]) -> None:
    """The page; what people wait for stays as it is there until it was measured anew."""
    there = page.read_text(encoding="utf-8") if page.exists() else ""
    section = report.waiting_section(waiting) if waiting else report.waiting_of(there)
    page.write_text(f"{before}\n{section}", encoding="utf-8")


def _measure(plan: Plan, running: Api, sqlite: str, postgresql: str) -> Iterator[Results]:
    """The same results again and again, each time with more of them: a late error costs little."""
    results = Results()
    named = {"SQLite": sqlite, "PostgreSQL": postgresql}
    stores = {name: url for name, url in named.items() if url}
    for name, url in stores.items():
        print(f"{name}: {plan.people:,} people", flush=True)
        databases.populate(url, plan.people)
    print("\nSending", flush=True)
    results.sending = sending.measure(
        running,
        sending.contenders(sqlite, postgresql),
        plan.latencies,
        seconds=plan.seconds,
        runs=plan.runs,
    )
    print("\nWriting the rows", flush=True)
    for name, url in stores.items():
        results.written += enqueue.measure(name, url, plan.sizes, plan.streamed_most)
    checked = processes.run_one(Task("checking", database=sqlite)).found
    results.checking_us = checked["microseconds"]
    results.startup = startup.measure()
    if postgresql:
        print("\nA crowd", flush=True)
        results.crowds = [
            scale.measure(running, postgresql, recipients, plan.crowd_seconds)
            for recipients in plan.crowds
        ]
    yield results
    print("\nWhat people wait for", flush=True)
    for name, url in stores.items():
        shared = databases.shared(url)
        results.waiting.append(measurements.measure(running, name, shared, plan.waiting))
        yield results


main()
