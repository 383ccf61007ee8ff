"""One notification to a crowd on PostgreSQL, two workers, a bounded sample of its sending."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from . import processes
from .api import Api
from .tasks import Task

WORKERS = 2
PARTS = 4

Claim: TypeAlias = tuple[float, float, float]
"""When, how many seconds it took, and the worker's memory in MB at that moment."""


@dataclass(frozen=True)
class Crowd:
    """What the sample showed.

    ``claims_ms`` is the median claim in each quarter of the claims, in the order of time;
    ``memory_mb`` the most that a worker held in each. ``sizes`` has the bytes of the table and of
    each index before anything was sent, ``sizes_after`` those at the sample's end.
    """

    recipients: int
    sent: int
    seconds: float
    claims_ms: list[float]
    memory_mb: list[float]
    sizes: dict[str, int]
    sizes_after: dict[str, int]

    @property
    def rate(self) -> float:
        return self.sent / self.seconds


def measure(api: Api, database: str, recipients: int, seconds: float) -> Crowd:
    """Write ``recipients`` rows by one ``notify()``, then let two workers send for so long."""
    api.set_latency(0)
    tasks = [
        Task("watched", api.plain, database, seconds, recipients if number == 0 else 0)
        for number in range(WORKERS)
    ]
    samples = processes.run(tasks, api.ca_bundle)
    found = [sample.found for sample in samples]
    parts = _parts(sorted(tuple(claim) for one in found for claim in one["claims"]))
    crowd = Crowd(
        recipients=recipients,
        sent=sum(one["messages"] for one in found),
        seconds=max(s.ended for s in samples) - min(s.started for s in samples),
        claims_ms=[statistics.median(claim[1] for claim in part) * 1000 for part in parts],
        memory_mb=[max(claim[2] for claim in part) for part in parts],
        sizes=found[0]["sizes"],
        sizes_after=found[0]["sizes_after"],
    )
    print(
        f"{crowd.recipients:9,d} recipients, {WORKERS} workers {crowd.rate:7,.0f} messages/s,"
        f" claims {joined(crowd.claims_ms)} ms, memory {joined(crowd.memory_mb)} MB",
        flush=True,
    )
    return crowd


def joined(numbers: Sequence[float]) -> str:
    """The four quarters in a few characters."""
    return " · ".join(f"{number:.0f}" for number in numbers)


def _parts(claims: Sequence[Claim]) -> list[Sequence[Claim]]:
    cuts = [len(claims) * part // PARTS for part in range(PARTS + 1)]
    return [claims[start:end] for start, end in pairwise(cuts) if end > start]
