"""What the project aims at, and whether this run has met it."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import enqueue, sending
from .enqueue import Written
from .scale import Crowd
from .sending import Cell, Figures
from .startup import Startup
from .tasks import WIDTH
from .waiting import measurements
from .waiting.measurements import Waiting
from .waiting.ways import BACKGROUND
from .wire import NETWORK, PLAIN, TLS

# What WeChat's answers are taken to cost: the aims are meant for it.
LATENCY = 80
ENQUEUED = 100_000


@dataclass
class Results:
    """Everything that one run of the benchmark has measured."""

    sending: dict[Cell, list[Figures]] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    checking_us: float = 0.0
    startup: Startup | None = None
    crowds: list[Crowd] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


@dataclass(frozen=True)
class Aim:
    """One line of the table. ``most``: the figure is to stay below, not above, the bound."""

    text: str
    figure: float
    bound: float
    unit: str = ""
    most: bool = False

    @property
    def met(self) -> bool:
        return self.figure <= self.bound if self.most else self.figure >= self.bound

    @property
    def shown(self) -> tuple[str, str]:
        """The bound and the figure as the table shows them."""
        sign = "≤" if self.most else "≥"
        return f"{sign} {self.bound:g}{self.unit}", f"{self.figure:.2f}{self.unit}"


def judge(results: Results) -> list[Aim]:
    """Every aim for which there are figures."""
    return [
        *_throughput(results.sending),
        *_cpu(results.sending),
        *_blog(results.sending),
        *_second_worker(results.sending),
        *_checking(results),
        *_enqueue(results.written),
        *_memory(results.written, results.crowds),
        *_claims(results.crowds),
        *_startup(results.startup),
    ]


def judge_waiting(found: Sequence[Waiting]) -> list[Aim]:
    """The aims of what people wait for."""
    return [aim for one in found for aim in _waiting(one)]


def _waiting(found: Waiting) -> Iterator[Aim]:
    default = BACKGROUND.label
    for when, added in (("answers", found.answered), ("never answers", found.never)):
        text = f"notify() in a request, over the writes themselves, WeChat {when}"
        yield Aim(f"{text} ({found.database})", added[default].ms, 2, " ms", most=True)
    many, one = found.many[default], found.answered[default]
    # As one: what follows the commit is done once. The commit itself takes longer with more rows.
    text = f"Commit of {measurements.MANY} notify() calls, over that of the writes themselves"
    yield Aim(
        f"{text} ({found.database})", many.commit_ms / many.bare_commit_ms, 2, " ×", most=True
    )
    text = f"Statements of notify() for one person ({found.database})"
    yield Aim(f"{text}, inside", one.inside, 5, most=True)
    yield Aim(f"{text}, after the commit", one.after, 0, most=True)
    for way, delays in found.arrivals_ms.items():
        # One that looks once a second: the median is half of that, the worst a little over it.
        bound = 1_000 if way in found.looking else 100
        text = f"From commit to WeChat, {way} ({found.database})"
        yield Aim(text, statistics.median(delays), bound, " ms", most=True)
    yield from _behind(found)
    text = f"Receipts of a batch's last moment, no worker ({found.database})"
    yield Aim(text, found.receipts, 5, " s", most=True)
    yield from _pages(found)
    if found.idle is not None:
        statements, seconds = found.idle
        text = f"Statements of an idle site ({found.database})"
        yield Aim(text, statements / seconds * 60, 1, " a minute", most=True)


def _behind(found: Waiting) -> Iterator[Aim]:
    for way, one in found.behind.items():
        text = f"One message behind {one.crowd:,}, {way} ({found.database})"
        # One that has not come at all waits for ever.
        seconds = [*one.seconds, *[math.inf] * one.missing]
        yield Aim(f"{text}, median", statistics.median(seconds), 0.5, " s", most=True)
        yield Aim(f"{text}, worst", max(seconds), 2, " s", most=True)


def _pages(found: Waiting) -> Iterator[Aim]:
    served = found.served
    if served is None:
        return
    for page, quiet, busy in (
        ("that write", served.without, served.without_busy),
        ("that notify", served.tells, served.tells_busy),
    ):
        text = f"p99 of pages {page}, while a crowd is sent to ({found.database})"
        yield Aim(text, busy.p99, round(max(1.5 * quiet.p99, quiet.p99 + 20), 1), " ms", most=True)


def _startup(found: Startup | None) -> Iterator[Aim]:
    if found is not None:
        text = "Start of Django with the admin, what the app adds"
        yield Aim(text, found.added_ms, 80, " ms", most=True)


def _throughput(found: Mapping[Cell, Sequence[Figures]]) -> Iterator[Aim]:
    for app in (sending.APP_SQLITE, sending.APP):
        for cell, ratio in sending.ratios(found, app, sending.POOL, "rate"):
            if cell.latency == LATENCY and not cell.wire.opening:
                yield Aim(f"Throughput of {app}, over the bare pool ({cell.place})", ratio, 0.95)


def _cpu(found: Mapping[Cell, Sequence[Figures]]) -> Iterator[Aim]:
    for app in (sending.APP_SQLITE, sending.APP):
        for cell, ratio in sending.ratios(found, app, sending.POOL, "cpu"):
            if cell.latency == LATENCY and not cell.wire.opening:
                text = f"CPU a message of {app}, over the bare pool ({cell.place})"
                yield Aim(text, ratio, 0.75, most=True)


def _blog(found: Mapping[Cell, Sequence[Figures]]) -> Iterator[Aim]:
    for cell, ratio in sending.ratios(found, sending.APP, sending.BLOG, "rate"):
        text = f"Throughput of {sending.APP}, over the blog's loop ({cell.place}"
        if cell == Cell(sending.APP, LATENCY, TLS):
            h = sending.handshake_ms(found, LATENCY)
            ceiling = WIDTH * (LATENCY + h) / LATENCY
            yield Aim(f"{text}, h = {h:.0f} ms)", ratio, round(0.95 * ceiling, 1), unit=" ×")
        elif cell == Cell(sending.APP, LATENCY, NETWORK):
            yield Aim(f"{text})", ratio, 80, unit=" ×")


def _second_worker(found: Mapping[Cell, Sequence[Figures]]) -> Iterator[Aim]:
    for cell, ratio in sending.ratios(found, sending.APP_TWICE, sending.APP, "rate"):
        if cell.latency == LATENCY and not cell.wire.opening:
            yield Aim(f"Two workers on PostgreSQL, over one ({cell.place})", ratio, 1.8, " ×")


def _checking(results: Results) -> Iterator[Aim]:
    sent = results.sending.get(Cell(sending.APP, LATENCY, PLAIN)) or results.sending.get(
        Cell(sending.APP_SQLITE, LATENCY, PLAIN)
    )
    if sent is not None and results.checking_us:
        share = results.checking_us / (sending.median(sent).cpu * 1000) * 100
        yield Aim("Checking five fields, share of a message's CPU", share, 5, " %", most=True)


def _enqueue(found: Sequence[Written]) -> Iterator[Aim]:
    for database in dict.fromkeys(one.database for one in found):
        ratio = enqueue.ratio(found, database, ENQUEUED)
        if ratio is not None:
            text = f"notify() for {ENQUEUED:,}, over the bare INSERT … SELECT ({database})"
            yield Aim(text, ratio, 1.2, " ×", most=True)
        ratio = enqueue.ratio(found, database, ENQUEUED, enqueue.OPENIDS, enqueue.BULK)
        if ratio is not None:
            text = f"notify() for {ENQUEUED:,} openids, over a plain bulk_create ({database})"
            yield Aim(text, ratio, 3, " ×", most=True)


def _memory(found: Sequence[Written], crowds: Sequence[Crowd]) -> Iterator[Aim]:
    for database in dict.fromkeys(one.database for one in found):
        growth = enqueue.memory_growth(found, database)
        if growth is not None:
            text = f"Memory of notify(), fewest to most recipients ({database})"
            yield Aim(text, growth, 30, " MB", most=True)
    if len(crowds) > 1:
        growth = max(crowds[-1].memory_mb) - max(crowds[0].memory_mb)
        yield Aim("Memory of a worker, fewest to most recipients", growth, 30, " MB", most=True)


def _claims(crowds: Sequence[Crowd]) -> Iterator[Aim]:
    if len(crowds) > 1:
        growth = crowds[-1].claims_ms[-1] / crowds[0].claims_ms[-1]
        text = (
            f"A claim among {crowds[-1].recipients:,} rows, over one among {crowds[0].recipients:,}"
        )
        yield Aim(text, growth, 2, " ×", most=True)


def show(judged: Sequence[Aim]) -> None:
    """Print them."""
    for aim in judged:
        bound, figure = aim.shown
        print(f"{'met    ' if aim.met else 'NOT MET'} {aim.text}: {figure} (aim {bound})")
