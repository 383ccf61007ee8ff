"""Sending side by side: each contender at each latency, over each wire."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from . import processes
from .api import Api
from .tasks import Task
from .wire import PLAIN, TLS, WIRES, Wire

# Enough for the fastest cell; what is not sent in time is thrown away.
ROWS_A_SECOND = 5_000


@dataclass(frozen=True)
class Contender:
    """Who sends: a module of ``workloads``, in how many processes, on which database if any."""

    label: str
    kind: str
    database: str = ""
    processes: int = 1


@dataclass(frozen=True)
class Cell:
    """One line of the table: who, at what latency, over what."""

    label: str
    latency: int
    wire: Wire

    @property
    def place(self) -> str:
        return f"{self.latency} ms, {self.wire.title}"


@dataclass(frozen=True)
class Figures:
    """What one run, or the median of some, has shown.

    ``rate`` in messages a second, ``cpu`` in seconds for a thousand messages, ``peak_mb`` of the
    largest process; ``tokens`` fetched and ``connections`` opened.
    """

    rate: float
    cpu: float
    peak_mb: float
    tokens: float
    connections: float


BLOG = "blog's loop"
WECHATPY = "wechatpy, loop"
POOL = "session.post, 32 threads, no database"
APP_SQLITE = "this app, SQLite"
APP = "this app, PostgreSQL"
APP_TWICE = "this app, PostgreSQL, 2 workers"


def contenders(sqlite: str, postgresql: str) -> list[Contender]:
    """All of them, without those on PostgreSQL where there is none."""
    found = [
        Contender(BLOG, "blog"),
        Contender(WECHATPY, "wechatpy_loop"),
        Contender(POOL, "pool"),
        Contender(APP_SQLITE, "app", sqlite),
    ]
    if postgresql:
        found += [
            Contender(APP, "app", postgresql),
            Contender(APP_TWICE, "app", postgresql, processes=2),
        ]
    return found


def measure(
    api: Api,
    competing: Sequence[Contender],
    latencies: Sequence[int],
    *,
    seconds: float,
    runs: int,
) -> dict[Cell, list[Figures]]:
    """Each cell's runs. Contenders take turns, so that a noisy minute hits all of them."""
    found: dict[Cell, list[Figures]] = {}
    for latency, wire in product(latencies, WIRES):
        if wire.opening and not latency:
            continue  # no network
        api.set_latency(latency, wire)
        for _ in range(runs):
            for contender in competing:
                cell = Cell(contender.label, latency, wire)
                found.setdefault(cell, []).append(_run(api, contender, wire, seconds))
        for contender in competing:
            cell = Cell(contender.label, latency, wire)
            print(_line(cell, median(found[cell])), flush=True)
    return found


def _run(api: Api, contender: Contender, wire: Wire, seconds: float) -> Figures:
    api.take_counts()
    rows = int(ROWS_A_SECOND * seconds) if contender.database else 0
    tasks = [
        Task(
            kind=contender.kind,
            api_base=api.base(wire),
            database=contender.database,
            seconds=seconds,
            recipients=rows if number == 0 else 0,
        )
        for number in range(contender.processes)
    ]
    samples = processes.run(tasks, api.ca_bundle)
    counts = api.take_counts()
    messages = sum(sample.found["messages"] for sample in samples)
    return Figures(
        rate=sum(s.found["messages"] / (s.ended - s.started) for s in samples),
        cpu=sum(sample.cpu for sample in samples) / messages * 1000,
        peak_mb=max(sample.peak_mb for sample in samples),
        tokens=counts["tokens"],
        connections=counts["connections"],
    )


def median(figures: Sequence[Figures]) -> Figures:
    """Each figure's own median."""
    names = Figures.__dataclass_fields__
    return Figures(
        **{name: statistics.median(getattr(one, name) for one in figures) for name in names}
    )


def ratios(
    found: Mapping[Cell, Sequence[Figures]], over: str, under: str, figure: str
) -> Iterator[tuple[Cell, float]]:
    """``over``'s figure as a multiple of ``under``'s, at each latency, over each wire.

    The median of the ratios of runs that stood side by side, not the ratio of the medians: what
    else the machine did in those seconds has slowed both.
    """
    for cell, runs in found.items():
        others = found.get(Cell(under, cell.latency, cell.wire))
        if cell.label == over and others is not None:
            pairs = zip(runs, others, strict=True)
            yield (
                cell,
                statistics.median(getattr(a, figure) / getattr(b, figure) for a, b in pairs),
            )


def handshake_ms(found: Mapping[Cell, Sequence[Figures]], latency: int) -> float:
    """What TLS adds to a message of the loop that opens a connection for each, in milliseconds."""
    plain, tls = (1000 / median(found[Cell(BLOG, latency, wire)]).rate for wire in (PLAIN, TLS))
    return tls - plain


def _line(cell: Cell, figures: Figures) -> str:
    return (
        f"{cell.place:25s} {cell.label:38s} {figures.rate:8.0f} messages/s"
        f" {figures.cpu:7.2f} CPU s/1,000 {figures.peak_mb:5.0f} MB"
    )
