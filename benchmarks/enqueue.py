"""Writing the rows: ``notify()`` against the bare INSERT … SELECT and a plain bulk_create."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from . import processes
from .tasks import Task

BARE = "bare"
QUERYSET = "queryset"
BULK = "bulk_create"
OPENIDS = "openids"
STREAMED = (BULK, OPENIDS, "function")
# A run of so many rows is long enough to be its own median.
ONCE_FROM = {BARE: 1_000_000, QUERYSET: 1_000_000, **dict.fromkeys(STREAMED, 100_000)}
RUNS = 3

LABELS = {
    BARE: "bare INSERT … SELECT",
    QUERYSET: "notify(QuerySet of users, shared data)",
    BULK: "plain bulk_create of openids",
    OPENIDS: "notify(generator of openids, shared data)",
    "function": "notify(QuerySet of users, function of the user)",
}


@dataclass(frozen=True)
class Written:
    """Writing so many rows in one way on one database; ``runs`` in seconds."""

    database: str
    way: str
    recipients: int
    runs: tuple[float, ...]
    peak_mb: float

    @property
    def seconds(self) -> float:
        return statistics.median(self.runs)

    @property
    def rate(self) -> float:
        return self.recipients / self.seconds


def measure(name: str, database: str, sizes: Sequence[int], streamed_most: int) -> list[Written]:
    """Every way at every size, the ways taking turns. ``name`` is what the tables call it.

    Streaming writes row by row, so that more than ``streamed_most`` say no more.
    """
    found = []
    for size in sizes:
        ways = [BARE, QUERYSET, *(STREAMED if size <= streamed_most else ())]
        samples = [
            (way, processes.run_one(Task("enqueue", database=database, recipients=size, way=way)))
            for run in range(RUNS)
            for way in ways
            if run == 0 or size < ONCE_FROM[way]
        ]
        for way in ways:
            own = [sample for other, sample in samples if other == way]
            written = Written(
                name,
                way,
                size,
                tuple(sample.found["seconds"] for sample in own),
                statistics.median(sample.peak_mb for sample in own),
            )
            found.append(written)
            print(
                f"{name:10s} {size:9,d} {LABELS[way]:48s} {written.rate:9,.0f} rows/s"
                f" {written.peak_mb:5.0f} MB",
                flush=True,
            )
    return found


def ratio(
    found: Sequence[Written],
    database: str,
    recipients: int,
    way: str = QUERYSET,
    over: str = BARE,
) -> float | None:
    """The time of one way as a multiple of the time of another that was run beside it."""
    runs = {
        one.way: one.runs
        for one in found
        if one.database == database and one.recipients == recipients
    }
    if not {way, over} <= runs.keys():
        return None
    return statistics.median(a / b for a, b in zip(runs[way], runs[over], strict=True))


def memory_growth(found: Sequence[Written], database: str) -> float | None:
    """MB by which the largest ``notify()`` of a QuerySet peaked above the smallest."""
    peaks = [
        (one.recipients, one.peak_mb)
        for one in found
        if one.database == database and one.way == QUERYSET
    ]
    return max(peaks)[1] - min(peaks)[1] if len(peaks) > 1 else None
