"""The loop: claim a batch, send it over a pool of threads, decide, record, and again.

One thread, the caller's, does the database; the pool's threads do HTTP. The next batch is claimed
while this one is in flight, results are written every hundred rows or every second, and a worker
killed in between leaves rows whose lease ends and which another worker takes back.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import OperationalError
from django.utils import timezone

from ..conf import settings
from ..models import SendLog
from ..types import Outcome, SendResult
from . import outbox, policy
from .aftermath import Aftermath
from .lane import LOOK_AGAIN, Lane
from .messages import Shared, message, shared_contents
from .outbox import Claimed, Result
from .policy import Attempt, Decision
from .pool import Done, SenderPool

logger = logging.getLogger(__name__)

Status = SendLog.Status

FLUSH_ROWS = 100
FLUSH_SECONDS = 1.0
SWEEP_SECONDS = 10.0
# Results are let gather for so long while the threads are busy; so many claimed rows for each
# thread keep them so, while results gather and the next batch is claimed.
GATHER_SECONDS = 0.02
REFILL_WIDTHS = 4
RECORD_TRIES = 5


@dataclass
class Report:
    """What one run did.

    ``counts``: rows by their new status ("pending": to be tried again later). ``handed_back``:
    rows claimed and returned unsent. ``lost``: results that came too late, because another worker
    had taken the row over. ``at_rest``: accounts for which nothing is sent at present.
    """

    counts: Counter[str] = field(default_factory=Counter)
    handed_back: int = 0
    lost: int = 0
    at_rest: set[str] = field(default_factory=set)

    @property
    def sent(self) -> int:
        return self.counts[Status.SENT]

    @property
    def handled(self) -> int:
        return sum(self.counts.values())

    def add(self, other: "Report") -> None:
        """Make this the report of both runs."""
        self.counts.update(other.counts)
        self.handed_back += other.handed_back
        self.lost += other.lost
        self.at_rest = other.at_rest


def deliver(
    *,
    account: str | None = None,
    notification_id: int | None = None,
    limit: int | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Send what is due and return when nothing more is.

    ``account`` and ``notification_id`` narrow it down, ``limit`` is the most rows to claim.
    ``stop``, once set, ends the run: requests in flight are finished, claimed rows not yet sent
    are handed back. ``progress`` is called in this thread after each write of results.

    Whatever ends the run, what is known by then is written down.
    """
    aliases = settings.aliases if account is None else [account]
    run = _Run(aliases, notification_id, limit, stop or threading.Event(), progress)
    return run.drain()


@dataclass(frozen=True, slots=True)
class _Job:
    """A claimed row on its way through the pool."""

    claimed: Claimed
    shared: Shared
    lane: Lane


class _Run:
    def __init__(
        self,
        aliases: list[str],
        notification_id: int | None,
        limit: int | None,
        stop: threading.Event,
        progress: Callable[[Report], None] | None,
    ) -> None:
        self._notification_id = notification_id
        self._left = limit
        self._stop = stop
        self._progress = progress
        self._width = settings.CONCURRENCY
        self._batch = settings.BATCH_SIZE
        self._lease = settings.LEASE
        self._max_attempts = settings.MAX_ATTEMPTS
        # A request that starts later than this after its claim could outlive the lease.
        self._send_within = timedelta(seconds=self._lease - sum(settings.TIMEOUT))
        self._lanes = [Lane(alias) for alias in aliases]
        # Templates that the last claim found paused, and those that a thread was just refused
        # for. The latter are not written down yet: the database still says that they go on.
        self._paused_templates: set[int] = set()
        self._refused_templates: set[int] = set()
        self._pool: SenderPool[_Job] = SenderPool(self._send, self._width)
        self._abandon = threading.Event()
        self._unwritten: list[tuple[Result, Decision]] = []
        self._written_at = self._swept_at = -SWEEP_SECONDS
        self._aftermath = Aftermath()
        self._report = Report()

    # -- the pool's threads -------------------------------------------------------------------

    def _send(self, job: _Job) -> SendResult | None:
        row, shared = job.claimed, job.shared
        if self._abandon.is_set() or self._stop.is_set() or job.lane.at_rest.is_set():
            return None
        if self._is_paused(shared.template_pk):
            return None
        now = timezone.now()
        if now >= row.claimed_at + self._send_within or not policy.may_repeat(row.doubt, now):
            return None
        result = job.lane.backend.send(message(row, shared))
        if result.outcome is Outcome.REFUSED:
            self._spare_the_others(job, result)
        return result

    def _is_paused(self, template_pk: int) -> bool:
        return template_pk in self._paused_templates or template_pk in self._refused_templates

    def _spare_the_others(self, job: _Job, result: SendResult) -> None:
        """Stop the other threads at once: no more calls than are in flight at this moment."""
        if policy.stops_account(result):
            job.lane.at_rest.set()
        elif policy.stops_template(result):
            self._refused_templates.add(job.shared.template_pk)

    # -- the caller's thread ------------------------------------------------------------------

    def drain(self) -> Report:
        try:
            while self._refill():
                self._collect()
        finally:
            self._wind_up()
        self._report.at_rest = {lane.alias for lane in self._lanes if lane.at_rest.is_set()}
        return self._report

    def _refill(self) -> bool:
        """Claim when the pool runs low. False: nothing in flight and nothing more to claim."""
        if self._pool.outstanding <= REFILL_WIDTHS * self._width and not self._stop.is_set():
            if not self._pool.outstanding:
                self._flush()  # what was handed back can be claimed anew
            self._sweep()
            for lane in self._lanes:
                self._claim(lane)
        return bool(self._pool.outstanding) or self._wait_for_rate()

    def _claim(self, lane: Lane) -> None:
        room = self._batch if self._left is None else min(self._batch, self._left)
        if not (room > 0 and lane.open and lane.ready()):
            return
        granted = lane.grant(room)
        if not granted:
            return
        rows = outbox.claim(
            lane.alias, granted, now=timezone.now(), notification_id=self._notification_id
        )
        if self._left is not None:
            self._left -= len(rows)
        # First the queue: a cache that fails in the lane must not leave rows claimed and unsent.
        self._queue(lane, rows)
        lane.claimed(granted, len(rows))

    def _sweep(self) -> None:
        """Take back the rows of workers that died, now and then."""
        if time.monotonic() - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        for lane in self._lanes:
            taken = outbox.requeue_abandoned(
                lane.alias,
                now=timezone.now(),
                lease=self._lease,
                window=policy.REPEAT_WINDOW,
            )
            if taken:
                logger.warning("Took back %d messages from workers that died.", taken)

    def _queue(self, lane: Lane, rows: list[Claimed]) -> None:
        contents = shared_contents(row.notification_id for row in rows)
        for shared in contents.values():
            change = set.add if shared.template_paused else set.discard
            change(self._paused_templates, shared.template_pk)
        now = timezone.now()
        jobs = []
        for row in rows:
            if row.notification_id not in contents:
                lane.unsent()  # deleted since the claim, and its rows with it
                continue
            shared = contents[row.notification_id]
            decision = policy.before_sending(
                row.doubt,
                shared.expires_at,
                now=now,
                paused=shared.paused,
                cancelled=shared.cancelled,
            )
            if decision is None:
                jobs.append(_Job(row, shared, lane))
            else:
                self._unwritten.append((_result(row, decision, None), decision))
                lane.unsent()
        self._pool.submit(jobs)

    def _wait_for_rate(self) -> bool:
        """Sleep where only RATE holds rows back. False: the run is over."""
        waits = [wait for lane in self._lanes if (wait := lane.claims_in()) is not None]
        if not waits or self._left == 0 or self._stop.is_set():
            return False
        self._flush()
        # Not long where other accounts may have something to send in the meantime.
        self._stop.wait(min(*waits, LOOK_AGAIN) if len(self._lanes) > 1 else min(waits))
        return True

    def _collect(self) -> None:
        """Take finished jobs, waiting for the first, and write when it is time."""
        if self._pool.outstanding:
            done = self._pool.take(timeout=FLUSH_SECONDS)
            if self._pool.outstanding > self._width:
                # Waking this thread for every single result costs CPU that sending could use.
                time.sleep(GATHER_SECONDS)
            while done is not None:
                self._settle(done)
                full = len(self._unwritten) >= FLUSH_ROWS
                done = None if full else self._pool.take(timeout=0)
        overdue = time.monotonic() - self._written_at >= FLUSH_SECONDS
        if len(self._unwritten) >= FLUSH_ROWS or overdue:
            self._flush()

    def _settle(self, done: Done[_Job]) -> None:
        job, result, now = done.item, done.result, timezone.now()
        row, template_pk = job.claimed, job.shared.template_pk
        if result is None:
            parked = self._is_paused(template_pk)
            if not parked:
                job.lane.has_more()
            decision = Decision(
                Status.PENDING, due_at=None if parked else now, doubt=row.doubt, attempted=False
            )
            self._unwritten.append((_result(row, decision, result), decision))
            job.lane.unsent()
        else:
            attempt = Attempt(row.attempts, row.claimed_at, row.doubt)
            decision = policy.decide(result, attempt, now=now, max_attempts=self._max_attempts)
            # Noted before anything that could fail: what is known must be written down.
            self._unwritten.append((_result(row, decision, result), decision))
            self._aftermath.add(row, template_pk, decision, result)
            if decision.pauses_account:
                job.lane.rest(result)
            else:
                job.lane.answered(result)

    def _settle_at_any_rate(self, done: Done[_Job]) -> None:
        """What a settled result says of the account may not reach the cache; the row is noted."""
        try:
            self._settle(done)
        except Exception:
            logger.exception("A result was noted, but what follows from it was not.")

    def _flush(self) -> None:
        """Write what is known, then what follows from it."""
        self._written_at = time.monotonic()
        if not self._unwritten:
            return
        written = _record([result for result, _decision in self._unwritten])
        notes, self._unwritten = self._unwritten, []
        self._report.lost += len(notes) - written
        for _result_written, decision in notes:
            if decision.attempted or decision.status != Status.PENDING:
                self._report.counts[decision.status.value] += 1
            else:
                self._report.handed_back += 1
        paused = self._aftermath.carry_out()
        self._paused_templates |= paused
        self._refused_templates -= paused
        if outbox.free_parked([result.pk for result, decision in notes if decision.parks]):
            for lane in self._lanes:
                lane.has_more()
        if self._progress is not None:
            self._progress(self._report)

    def _wind_up(self) -> None:
        """Finish what is in flight, hand back the rest, write it all down, end the threads."""
        self._abandon.set()
        try:
            while self._pool.outstanding:
                done = self._pool.take(timeout=None)
                if done is not None:
                    self._settle_at_any_rate(done)
            self._flush()
        finally:
            self._pool.close()


def _result(row: Claimed, decision: Decision, result: SendResult | None) -> Result:
    sent = decision.status == Status.SENT
    if decision.pauses_account:
        # It speaks of the account, not of this row; the breaker keeps it.
        result = None
    return Result(
        pk=row.pk,
        claimed_at=row.claimed_at,
        status=decision.status,
        due_at=decision.due_at,
        doubt=decision.doubt,
        attempted=decision.attempted,
        errcode=0 if sent else _fitting(result.errcode if result else None, bits=32),
        errmsg=result.errmsg if result else None,
        rid=result.rid if result else None,
        msgid=_fitting(result.msgid if result else None, bits=64),
        sent_at=timezone.now() if sent else None,
    )


def _fitting(number: int | None, *, bits: int) -> int | None:
    """A number that its column cannot hold must not cost the whole batch its results."""
    return number if number is None or abs(number) < 2 ** (bits - 1) else None


def _record(results: list[Result]) -> int:
    """Write, and try again where the database was busy: results are dearer than a second's wait."""
    tries = 0
    while True:
        try:
            return outbox.record(results)
        except OperationalError:
            tries += 1
            connection = outbox.database()
            if tries == RECORD_TRIES or connection.in_atomic_block:
                raise
            logger.warning("The database did not take the results, trying again (%d).", tries)
            connection.close_if_unusable_or_obsolete()
            time.sleep(0.1 * 2**tries)
