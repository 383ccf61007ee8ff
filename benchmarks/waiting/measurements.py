"""All measurements of what people wait for, the dispatchers taking turns."""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .. import processes
from ..api import Api
from ..tasks import Task
from . import served
from .served import Served

THREAD = "a bare thread"
BACKGROUND, WORKER, CELERY, TASKS, INLINE = "background", "worker", "celery", "tasks", "inline"
# How long WeChat takes in the requests that are measured. The second: it never answers.
ANSWERS_MS = 400
NEVER_MS = 24 * 3600 * 1000
MANY = 20
# What sends beside the process that notifies.
SENDERS = {
    WORKER: ["django", "wechat_deliver", "--watch"],
    CELERY: [
        *("celery", "-A", "benchmarks.waiting.celery_app", "worker", "--concurrency=2"),
        *("--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ],
    TASKS: ["django", "db_worker"],
}


@dataclass(frozen=True)
class Plan:
    """How much is measured. Full: less than 20 minutes. Quick: about a minute for a database."""

    seconds: float = 8.0
    runs: int = 3
    arrivals: float = 20.0
    pages: float = 60.0
    idle: float = 190.0
    rate: int = 50


FULL = Plan()
QUICK = Plan(seconds=1.5, runs=1, arrivals=4.0, pages=6.0, idle=0.0)


@dataclass(frozen=True)
class Added:
    """What a message adds to a request: ``ms`` over the bare writes, which take ``bare_ms``.

    ``worst_ms``: the longest transaction. ``commit_ms``: the commit with all that follows it.
    ``inside``, ``after``: statements within the transaction and after it.
    """

    ms: float
    bare_ms: float
    worst_ms: float
    commit_ms: float
    inside: int
    after: int


@dataclass
class Waiting:
    """One database's figures, by dispatcher."""

    database: str
    answered: dict[str, Added] = field(default_factory=dict)
    never: dict[str, Added] = field(default_factory=dict)
    many: dict[str, Added] = field(default_factory=dict)
    arrivals_ms: dict[str, list[float]] = field(default_factory=dict)
    served: Served | None = None
    idle: tuple[int, float] | None = None
    """Statements of an idle site, and within how many seconds."""


def dispatchers() -> list[str]:
    """Those that can be measured here: Celery needs CELERY_BROKER_URL."""
    found = [THREAD, BACKGROUND, WORKER]
    if os.environ.get("CELERY_BROKER_URL") and find_spec("celery"):
        found.append(CELERY)
    if find_spec("django_tasks_db"):
        found.append(TASKS)
    return [*found, INLINE]


def measure(api: Api, name: str, database: str, plan: Plan) -> Waiting:
    """Everything on one database, which is populated."""
    found = Waiting(name)
    ways = dispatchers()
    for milliseconds, calls, into in (
        (ANSWERS_MS, 1, found.answered),
        (NEVER_MS, 1, found.never),
        (ANSWERS_MS / 2, MANY, found.many),
    ):
        api.set_latency(int(milliseconds))
        into.update(_added(api, database, ways, calls, plan))
        for way, added in into.items():
            print(f"{name}, {way}, {milliseconds:g} ms, {calls}: {added}", flush=True)
    api.set_latency(0)
    for way in (BACKGROUND, *(one for one in SENDERS if one in ways)):
        with _sender(api, database, way):
            task = Task("arrival", api.plain, database, plan.arrivals, dispatcher=way)
            api.take_counts()
            found.arrivals_ms[way] = processes.run_one(task).found["delays_ms"]
        print(f"{name}, {way}, commit to WeChat: {_shown(found.arrivals_ms[way])}", flush=True)
    found.served = served.measure(api, name, database, plan.pages, plan.rate)
    print(found.served, flush=True)
    if plan.idle:
        found.idle = (served.idle_statements(api, database, plan.idle), plan.idle)
        print(f"{name}, idle: {found.idle}", flush=True)
    forget_tasks()
    return found


def _added(api: Api, database: str, ways: list[str], calls: int, plan: Plan) -> Mapping[str, Added]:
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(plan.runs):
        for way, samples in runs.items():
            task = Task(
                "request",
                api.plain,
                database,
                plan.seconds,
                recipients=calls,
                way="thread" if way == THREAD else "notify",
                dispatcher=WORKER if way == THREAD else way,
            )
            samples.append(processes.run_one(task).found)
    return {way: _median(samples) for way, samples in runs.items()}


def _median(runs: list[dict[str, Any]]) -> Added:
    of = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return Added(
        of["added_ms"],
        of["bare_ms"],
        max(run["worst_ms"] for run in runs),
        of["commit_ms"],
        int(of["inside"]),
        int(of["after"]),
    )


@contextmanager
def _sender(api: Api, database: str, dispatcher: str) -> Iterator[None]:
    """The worker of this dispatcher, if it has one."""
    if dispatcher not in SENDERS:
        yield
        return
    with subprocess.Popen(
        [sys.executable, "-m", *SENDERS[dispatcher]],
        env=processes.environment(database, None, api.plain, dispatcher),
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def forget_tasks() -> None:
    """Leave nothing of the benchmark's own queue in the broker."""
    url = os.environ.get("CELERY_BROKER_URL")
    if not url or not find_spec("celery"):
        return
    kombu = import_module("kombu")
    with kombu.Connection(url) as broker:
        kombu.Queue("wechat-notify-benchmark", channel=broker.channel()).delete()


def _shown(delays: list[float]) -> str:
    return f"median {statistics.median(delays):.0f} ms, worst {max(delays):.0f} ms"
