"""docs/benchmarks.md from a run's results."""

import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from . import aims, enqueue, scale
from .aims import Results
from .sending import BLOG, Cell, Figures, median, ratios
from .startup import Startup
from .tasks import WIDTH
from .waiting import behind, measurements, receipts, served
from .waiting.measurements import Waiting
from .waiting.served import Served

HEAD = """\
# Benchmarks

Written by `python -m benchmarks` (`make bench`); do not edit. Everything before *What people wait
for* was measured in one run on one machine, and so was everything in it, the contenders taking
turns, against a fake API in a process of its own that answers after the stated latency. Absolute
figures move by tens of per cent from machine to machine and from hour to hour: trust the ratios.

![Messages a second, and CPU a message, of each contender](images/benchmarks.svg)
"""

HOW_AIMS = """\
They are meant for 80 ms, which is what WeChat's answers are taken to cost; how it is at less stands
in the tables below. Over the blog's loop without a network, 32 threads are worth 32 times
(80 + h) / 80 of it at the most, whatever the code, h being what a handshake of TLS costs this
machine in milliseconds, with all that a new connection reads for it: here, what TLS adds to one
message of the loop. The aim is 0.95 of that.
"""

HOW_SENDING = f"""\
Every contender sends the same message of about 500 bytes, in a fresh process each time, for
{{seconds:g}} seconds after a warm-up; {{runs}}. The ratios among the aims are those of runs that
stood side by side.

- *blog's loop*: `requests.post` for each user. *wechatpy, loop*: its client, call after call.
- *session.post*: one `requests.Session` in a pool of {WIDTH} threads that records nothing, the
  yardstick.
- *this app*: rows claimed from the database, sent by {WIDTH} threads, results written, default
  settings. Its CPU includes its database client, on SQLite the database itself; that of the fake
  API and of the PostgreSQL server is nobody's.

Over TLS the bundle of `certifi` is trusted, as in real life: who opens a connection for each
message reads it again each time. A handshake over loopback takes no round trips, which flatters
the loops, and 0 ms, in which no API on a network answers, flatters them most: with nothing to wait
for, a pool has nothing to share. *TLS over a network* is what users have: the stated latency is
that of a round trip, and a new connection takes two before its first request, one for TCP and one
for TLS 1.3. At 20 ms two workers, the fake API and PostgreSQL together want more than two cores.
Tokens are kept in the memory of each process here, so two workers fetch two.
"""

HOW_ENQUEUE = """\
From the call of `notify()` to its commit, in a process that has made such a call before; no message
is sent meanwhile. The bare statement writes the same rows for the same users into the same table
with the same indexes, in one `INSERT … SELECT` that looks at nothing else. `peak` is the whole
process, Django included.
"""

HOW_SCALE = """\
One `notify()` to everybody, then two workers send to the fake API at no latency, for a bounded
sample. Claims and memory are given for the four quarters of the sample. A claim is timed with all
its statements, those by which it finds out whose turn it is among them.
"""

WAITING = "## What people wait for\n"
HOW_WAITING = f"""\
One message for one person, written in a transaction of its own. *Writes alone* looks up template
and binding and creates the two rows with Django's ORM; what a way adds is measured in turn with
that, in the same process. *A bare thread* does these writes and starts a thread that calls
`requests.post`; it keeps no record of what became of the message. WeChat answers after
{measurements.ANSWERS_MS} ms, or accepts the connection and never answers.

Pages: gunicorn, one process with eight threads, requests at a steady rate, each counted from the
moment it was due. The crowd are {served.CROWD:,} messages at {served.WECHAT_MS} ms each, sent
by the same process. On SQLite with `"transaction_mode": "IMMEDIATE"`, as a site with more than one
writer needs it. Celery and Django's Tasks have one worker with one process. The commit of
{measurements.MANY} calls is shown beside that of the same writes without the app.

Behind a crowd: a message for one person twice a second, with the default priorities, while one
message to everybody is being sent at {behind.LATENCY} ms each, by the same process, worker or
queue. Receipts: {receipts.MESSAGES} are posted one after the other to a site with
`WorkerDispatcher` and no worker; the time is from the last answer until all are joined.
"""


def render(results: Results, machine: Iterable[tuple[str, str]], seconds: float, runs: int) -> str:
    """The page as text, up to ``WAITING``."""
    times = "one run" if runs == 1 else f"the median of {runs} runs"
    parts = [
        HEAD,
        f"Measured on {datetime.now(timezone.utc):%Y-%m-%d}.\n",
        _table(("Machine", ""), machine),
        "## Aims\n",
        HOW_AIMS,
        _aims(results),
        "## Sending\n",
        HOW_SENDING.format(seconds=seconds, runs=times),
        *_sending(results),
        "## Writing the rows\n",
        HOW_ENQUEUE,
        _written(results.written),
        "## A crowd\n",
        HOW_SCALE,
        *_crowds(results.crowds),
        "## Starting\n",
        *_startup(results.startup),
        "## Checking the data\n",
        f"`normalise` of the message's five fields: {results.checking_us:.1f} µs of CPU.\n",
    ]
    return "\n".join(parts)


def waiting_of(page: str) -> str:
    """What a page says of what people wait for, or nothing yet."""
    return "".join(page.partition(WAITING)[1:])


def waiting_section(found: Sequence[Waiting]) -> str:
    """What people wait for, with its aims."""
    parts = [WAITING, HOW_WAITING]
    rows = [
        (aim.text, *aim.shown, "met" if aim.met else "**not met**")
        for aim in aims.judge_waiting(found)
    ]
    parts.append(_table(("", "aim", "figure", ""), rows, numbers=True))
    for one in found:
        parts.append(f"### {one.database}: in the request\n")
        head = ("", "writes alone, ms", "added, ms", "added, never answers, ms")
        many = (f"commit of {measurements.MANY}, writes alone, ms", "with the app, ms")
        parts.append(_table((*head, "statements", *many), _requests(one), numbers=True))
        parts.append(f"### {one.database}: from commit to WeChat\n")
        rows = [
            (way, f"{statistics.median(delays):.0f}", f"{max(delays):.0f}")
            for way, delays in one.arrivals_ms.items()
        ]
        parts.append(_table(("", "median, ms", "worst, ms"), rows, numbers=True))
        parts += _behind(one)
        if one.served is not None:
            parts.append(f"### {one.database}: pages, {one.served.rate} a second\n")
            parts.append(_table(("", "p50, ms", "p99, ms"), _pages(one.served), numbers=True))
    return "\n".join(parts)


def _requests(found: Waiting) -> Iterable[Sequence[str]]:
    for way, added in found.answered.items():
        yield (
            way,
            f"{added.bare_ms:.1f}",
            f"{added.ms:.1f}",
            f"{found.never[way].ms:.1f}",
            f"{added.inside} + {added.after}",
            f"{found.many[way].bare_commit_ms:.1f}",
            f"{found.many[way].commit_ms:.1f}",
        )


def _behind(found: Waiting) -> Iterable[str]:
    crowd = max(one.crowd for one in found.behind.values())
    yield f"### {found.database}: one message behind {crowd:,}\n"
    rows: list[Sequence[str]] = [
        (
            way,
            f"{len(one.seconds)}",
            f"{statistics.median(one.seconds):.2f}",
            f"{max(one.seconds):.2f}",
        )
        for way, one in found.behind.items()
    ]
    yield _table(("", "messages", "median, s", "worst, s"), rows, numbers=True)


def _pages(served: Served) -> Iterable[Sequence[str]]:
    for text, figures in (
        ("pages that write the same rows themselves", served.without),
        ("pages that notify", served.tells),
        ("pages that write, while a crowd is sent to", served.without_busy),
        ("pages that notify, while a crowd is sent to", served.tells_busy),
    ):
        yield text, f"{figures.p50:.1f}", f"{figures.p99:.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    rule = ["---", *(("---:" if numbers else "---") for _ in head[1:])]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
    return "\n".join([*lines, ""])


def _aims(results: Results) -> str:
    rows = [
        (aim.text, *aim.shown, "met" if aim.met else "**not met**") for aim in aims.judge(results)
    ]
    return _table(("", "aim", "figure", ""), rows, numbers=True)


def _sending(results: Results) -> Iterable[str]:
    for place in dict.fromkeys(cell.place for cell in results.sending):
        yield f"### {place}\n"
        rows = [
            _sending_row(cell, median(runs), _over_the_loop(results, cell))
            for cell, runs in results.sending.items()
            if cell.place == place
        ]
        head = ("", "messages/s", "over the loop", "CPU s / 1,000", "peak MB")
        yield _table((*head, "token fetches", "connections"), rows, numbers=True)


def _over_the_loop(results: Results, cell: Cell) -> float:
    return dict(ratios(results.sending, cell.label, BLOG, "rate"))[cell]


def _sending_row(cell: Cell, figures: Figures, over_the_loop: float) -> Sequence[str]:
    return (
        cell.label,
        f"{figures.rate:,.0f}",
        f"{over_the_loop:.1f} ×",
        f"{figures.cpu:.2f}",
        f"{figures.peak_mb:.0f}",
        f"{figures.tokens:.0f}",
        f"{figures.connections:,.0f}",
    )


def _written(found: Sequence[enqueue.Written]) -> str:
    bare = {(one.database, one.recipients): one.seconds for one in found if one.way == enqueue.BARE}
    rows = [
        (
            f"{one.database}: {enqueue.LABELS[one.way]}",
            f"{one.recipients:,}",
            f"{one.seconds:.2f}",
            f"{one.rate:,.0f}",
            f"{one.seconds / bare[one.database, one.recipients]:.2f} ×",
            f"{one.peak_mb:.0f}",
        )
        for one in found
    ]
    head = ("", "recipients", "seconds", "rows/s", "over bare", "peak MB")
    return _table(head, rows, numbers=True)


def _startup(found: Startup | None) -> Iterable[str]:
    if found is not None:
        yield (
            f"`django.setup()` of a site with the admin takes {found.bare_ms:.0f} ms, and "
            f"{found.added_ms:.0f} ms and {found.modules} modules more with this app.\n"
        )


def _crowds(crowds: Sequence[scale.Crowd]) -> Iterable[str]:
    if not crowds:
        yield "Not measured: no PostgreSQL server answered.\n"
        return
    rows: list[Sequence[str]] = [
        (
            f"{crowd.recipients:,}",
            f"{crowd.sent:,}",
            f"{crowd.rate:,.0f}",
            scale.joined(crowd.claims_ms),
            scale.joined(crowd.memory_mb),
        )
        for crowd in crowds
    ]
    head = ("recipients", "sent in the sample", "messages/s", "claim of 500, ms", "memory, MB")
    yield _table(head, rows, numbers=True)
    largest = crowds[-1]
    yield f"Size of the send log with {largest.recipients:,} rows:\n"
    rows = [
        (
            f"`{name}`",
            f"{size / 2**20:,.0f}",
            f"{size / largest.recipients:.0f}",
            f"{largest.sizes_after.get(name, 0) / 2**20:,.0f}",
        )
        for name, size in sorted(largest.sizes.items(), key=lambda entry: -entry[1])
    ]
    total, after = sum(largest.sizes.values()), sum(largest.sizes_after.values())
    each = total / largest.recipients
    rows.append(("all", f"{total / 2**20:,.0f}", f"{each:.0f}", f"{after / 2**20:,.0f}"))
    yield _table(("", "MB", "bytes a row", "MB after the sample"), rows, numbers=True)
