"""All measurements of what people wait for, the ways taking turns."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import processes
from ..api import Api
from ..tasks import Task
from . import behind, receipts, served
from .behind import Behind
from .served import Served
from .ways import INLINE, THREAD, Way, sender, ways

# How long WeChat takes in the requests that are measured. The second: it never answers.
ANSWERS_MS = 400
NEVER_MS = 24 * 3600 * 1000
MANY = 20


@dataclass(frozen=True)
class Plan:
    """How much is measured. Full: 25 minutes. Quick: three minutes for a database.

    ``crowds``: how many are told where a message for one person waits behind them. On SQLite no
    more: one writer's file of a million rows says nothing that 20,000 do not.
    """

    seconds: float = 3.0
    runs: int = 3
    arrivals: float = 15.0
    pages: float = 36.0
    idle: float = 130.0
    rate: int = 50
    crowds: Mapping[str, int] = field(
        default_factory=lambda: {"SQLite": 20_000, "PostgreSQL": 1_000_000}
    )
    behind: float = 15.0


FULL = Plan()
QUICK = Plan(
    seconds=1.5,
    runs=1,
    arrivals=4.0,
    pages=6.0,
    idle=0.0,
    crowds={"SQLite": 20_000, "PostgreSQL": 20_000},
    behind=5.0,
)


@dataclass(frozen=True)
class Added:
    """What a message adds to a request: ``ms`` over the bare writes, which take ``bare_ms``.

    ``worst_ms``: the longest transaction. ``commit_ms``: the commit with all that follows it, and
    ``bare_commit_ms`` that of the bare writes. ``inside``, ``after``: statements within the
    transaction and after it.
    """

    ms: float
    bare_ms: float
    worst_ms: float
    commit_ms: float
    bare_commit_ms: float
    inside: int
    after: int


@dataclass
class Waiting:
    """One database's figures, by the way's label."""

    database: str
    answered: dict[str, Added] = field(default_factory=dict)
    never: dict[str, Added] = field(default_factory=dict)
    many: dict[str, Added] = field(default_factory=dict)
    arrivals_ms: dict[str, list[float]] = field(default_factory=dict)
    looking: set[str] = field(default_factory=set)
    """The ways whose sender looks once a second, and is not woken."""
    behind: dict[str, Behind] = field(default_factory=dict)
    receipts: float = 0.0
    """Seconds until the last receipts of a batch are joined."""
    served: Served | None = None
    idle: tuple[int, float] | None = None
    """Statements of an idle site, and within how many seconds."""


def measure(api: Api, name: str, database: str, plan: Plan) -> Waiting:
    """Everything on one database, which is populated."""
    found = Waiting(name)
    sending = ways(name)
    found.looking = {way.label for way in sending if way.looks}
    for milliseconds, calls, into in (
        (ANSWERS_MS, 1, found.answered),
        (NEVER_MS, 1, found.never),
        (ANSWERS_MS / 2, MANY, found.many),
    ):
        api.set_latency(int(milliseconds))
        into.update(_added(api, database, [THREAD, *sending, INLINE], calls, plan))
        for label, added in into.items():
            print(f"{name}, {label}, {milliseconds:g} ms, {calls}: {added}", flush=True)
    for way in sending:
        found.arrivals_ms[way.label] = _arrivals(api, database, way, plan)
        print(f"{name}, {way.label}: {_shown(found.arrivals_ms[way.label])}", flush=True)
    for way in sending:
        one = behind.measure(api, database, way, plan.crowds[name], plan.behind)
        found.behind[way.label] = one
        text = _shown([1000 * seconds for seconds in one.seconds])
        print(f"{name}, {way.label}, behind {one.crowd:,}: {text}, {one.missing} missing")
    found.receipts = receipts.measure(api, database)
    print(f"{name}, receipts: {found.receipts:.1f} s", flush=True)
    found.served = served.measure(api, name, database, plan.pages, plan.rate)
    print(found.served, flush=True)
    if plan.idle:
        found.idle = (served.idle_statements(api, database, plan.idle), plan.idle)
        print(f"{name}, idle: {found.idle}", flush=True)
    return found


def _added(
    api: Api, database: str, compared: Sequence[Way], calls: int, plan: Plan
) -> Mapping[str, Added]:
    runs: dict[str, list[dict[str, Any]]] = {way.label: [] for way in compared}
    for _ in range(plan.runs):
        for way in compared:
            task = Task(
                "request",
                api.plain,
                database,
                plan.seconds,
                recipients=calls,
                way="thread" if way is THREAD else "notify",
                dispatcher=way.dispatcher,
                broker=way.broker,
            )
            runs[way.label].append(processes.run_one(task).found)
    return {label: _median(samples) for label, samples in runs.items()}


def _median(runs: list[dict[str, Any]]) -> Added:
    of = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return Added(
        of["added_ms"],
        of["bare_ms"],
        max(run["worst_ms"] for run in runs),
        of["commit_ms"],
        of["bare_commit_ms"],
        int(of["inside"]),
        int(of["after"]),
    )


def _arrivals(api: Api, database: str, way: Way, plan: Plan) -> list[float]:
    """Milliseconds from the commit of each message until WeChat has it."""
    api.set_latency(0)
    api.take_counts()
    with sender(api, database, way):
        task = Task(
            "arrival",
            api.plain,
            database,
            plan.arrivals,
            dispatcher=way.dispatcher,
            broker=way.broker,
        )
        delays: list[float] = processes.run_one(task).found["delays_ms"]
    return delays


def _shown(delays: list[float]) -> str:
    return f"median {statistics.median(delays):.0f} ms, worst {max(delays):.0f} ms"
