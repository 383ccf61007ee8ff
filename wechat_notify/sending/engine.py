"""The delivery loop: claim rows, send them in threads, decide on their next state, write it.

The caller's thread uses the database, the pools' threads do HTTP. The next batch is claimed while
this one is being sent, and what is more urgent overtakes both. Results are written every hundred
rows or every second. When a worker is killed, the lease of its rows ends and another worker takes
them back. A row is marked before it is given to the threads: one without the mark was only claimed
and cannot have been sent.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable

from ..conf import settings
from ..models import SendLog
from ..types import SendResult
from . import database_clock, outbox, outcomes, policy
from .claims import LOOK_SECONDS
from .intake import Intake
from .lane import Lane
from .ledger import Ledger
from .policy import Attempt, Decision
from .pool import Done, Finished, take
from .report import Report
from .sender import Job, Probe, Sender, Task
from .sweep import sweep
from .track import Track
from .undecided import Undecided
from .wanted import Wanted

logger = logging.getLogger(__name__)

Status = SendLog.Status

SWEEP_SECONDS = 10.0
# A slice of RATE may last six minutes. Whoever runs the engine has more to do than to wait for it.
RATE_SECONDS = 15.0
# While threads are busy, wait this long so that several results are taken together.
GATHER_SECONDS = 0.02


def deliver(
    *,
    account: str | None = None,
    notification_id: int | None = None,
    limit: int | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[Report], None] | None = None,
    interval: float = 1.0,
    wanted: Wanted | None = None,
    width: int | None = None,
) -> Report:
    """Send what is due and return when nothing more is due.

    ``account`` and ``notification_id`` select the rows, ``limit`` is the most rows to claim. A run
    for one notification also sends what is more urgent, of any, and if it is BULK a part of what is
    due of others; these rows do not count towards ``limit``.
    ``stop``, once set, ends the run: requests in flight are finished, and claimed rows that were
    not sent become due again. ``progress`` is called in this thread after each write of results,
    and every fifteen seconds at least while RATE delays the rest.
    Results are written, and accounts that had nothing to send are asked again, every ``interval``
    seconds. ``wanted``, instead of ``notification_id``, is for several notifications, to which
    other threads may add. ``width`` is the most calls in flight, if that is less than CONCURRENCY.

    If the run ends with an error, the results known by then are still written.
    """
    aliases = settings.aliases if account is None else [account]
    if wanted is None:
        wanted = Wanted(None if notification_id is None else [(account, notification_id)])
    lanes = [Lane(alias, interval, width) for alias in aliases]
    return _Run(lanes, wanted, limit, stop or threading.Event(), progress, interval).drain()


class _Run:
    def __init__(
        self,
        lanes: list[Lane],
        wanted: Wanted,
        limit: int | None,
        stop: threading.Event,
        progress: Callable[[Report], None] | None,
        interval: float,
    ) -> None:
        self._stop = stop
        self._progress = progress
        self._interval = interval
        self._max_attempts = settings.MAX_ATTEMPTS
        self._report = Report()
        self._ledger = Ledger(stop, self._report, interval)
        self._sender = Sender(stop)
        self._intake = Intake(self._sender, self._ledger, wanted, limit)
        self._wanted = wanted
        self._undecided = Undecided(self._sender.failed_alone)
        self._finished: Finished[Task] = queue.SimpleQueue()
        self._tracks = {
            lane.alias: Track(lane, self._intake.claims(lane.alias), self._sender, self._finished)
            for lane in lanes
        }
        self._swept_at = -SWEEP_SECONDS
        wanted.attach(self._finished)

    def drain(self) -> Report:
        database_clock.measure()
        try:
            while self._refill():
                self._collect()
        finally:
            self._finish()
        if not self._stop.is_set():
            self._ledger.confirm()
        self._report.at_rest = {lane.alias for lane in self._lanes if lane.at_rest.is_set()}
        return self._report

    @property
    def _lanes(self) -> list[Lane]:
        return [track.lane for track in self._tracks.values()]

    @property
    def _in_threads(self) -> int:
        return sum(track.in_threads for track in self._tracks.values())

    @property
    def _unfinished(self) -> int:
        """Rows that this run has claimed and not yet decided on."""
        return len(self._undecided) + sum(track.unfinished for track in self._tracks.values())

    # -- from the database to the threads -----------------------------------------------------

    def _refill(self) -> bool:
        """Claim rows for threads that need some. False: the run is over."""
        if self._stop.is_set():
            return bool(self._in_threads)
        if not self._unfinished:
            self._write()  # rows that were handed back can be claimed again
        self._sweep()
        if self._wanted.has_more():
            for lane in self._lanes:
                lane.has_more()
        for track in self._tracks.values():
            self._intake.claim(track)
            self._submit_staged(track)
        # What was handed back is due, and can be claimed again once that is written.
        return bool(self._unfinished) or self._ledger.has_unsent or self._wait_for_rate()

    def _sweep(self) -> None:
        """Every ten seconds: take back rows of dead workers, give up rows that wait too long."""
        if time.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            database_clock.measure()
            for lane in self._lanes:
                if lane.ready():
                    sweep(lane)

    def _submit_staged(self, track: Track) -> None:
        """Mark as many staged rows as the threads need soon, and give them to the threads."""
        now = database_clock.now()
        jobs = []
        for job in track.take_next():
            if self._sender.must_not_send(job, now):
                self._hand_back(job)
            else:
                jobs.append(job)
        if not jobs:
            return
        held = outbox.mark_on_wire(
            [job.claimed for job in jobs],
            now=now,
            revisions={job.claimed.pk: job.shared.revision.pk for job in jobs},
        )
        for job in jobs:
            if job.claimed.pk not in held:
                job.lane.unsent()  # another worker has taken it over
        track.submit([job for job in jobs if job.claimed.pk in held])

    def _wait_for_rate(self) -> bool:
        """Sleep if there are rows that only RATE delays. False: the run is over."""
        waits = [wait for lane in self._lanes if (wait := lane.claims_in()) is not None]
        if not waits or self._intake.ended or self._stop.is_set():
            return False
        self._write()
        # Wake up in time for the other accounts, which may have something to send by then.
        most = min(RATE_SECONDS, self._interval) if len(self._tracks) > 1 else RATE_SECONDS
        self._stop.wait(min(*waits, most))
        self._tell()
        return True

    # -- from the threads to the database -----------------------------------------------------

    def _collect(self) -> None:
        """Take finished rows, waiting for the first one, and write results when it is time."""
        if self._in_threads:
            done = take(self._finished, timeout=min(self._interval, LOOK_SECONDS))
            if all(track.is_busy for track in self._tracks.values() if track.in_threads):
                # Waking this thread for every result costs CPU time that the threads need.
                time.sleep(GATHER_SECONDS)
            while done is not None:
                self._handle(done)
                done = None if self._ledger.is_full else take(self._finished, timeout=0)
        if self._ledger.is_due:
            self._write()

    def _handle(self, done: Done[Task]) -> None:
        """Decide on a finished row, or keep it undecided; update the state of its account."""
        task, result = done.item, done.result
        lane = task.lane
        if isinstance(task, Probe):
            lane.probed(result)
        elif result is None:
            self._hand_back(task)
        elif policy.gets_through(result):
            # Note the result first: what follows uses the cache and may raise.
            decision = self._decide(task, result)
            self._decide_held(lane, others_pass=True)
            if decision.pauses_account:
                lane.rest(result)
            else:
                self._note_answer(lane)
        elif policy.stops_way(result):
            self._sender.failed_alone.discard(task.claimed.pk)
            self._decide(task, result)
            lane.way_refused(result)
        else:
            self._undecided.add(task, result)
            lane.unanswered()
        if not done.pool.outstanding:
            self._none_in_flight(self._tracks[lane.alias])

    def _decide(self, job: Job, result: SendResult, *, counts: bool = True) -> Decision:
        row = job.claimed
        attempt = Attempt(
            row.attempts,
            row.claimed_at,
            row.doubt,
            counts=counts,
            repeats=job.lane.backend.supports_repeats,
            refused_to_many=job.lane.same_refusals(row.openid, result),
            has_stand_in=job.shared.has_stand_in,
        )
        decision = policy.decide(
            result, attempt, now=database_clock.now(), max_attempts=self._max_attempts
        )
        self._ledger.note(row, job.shared.template_pk, decision, result)
        if not job.shared.notification.is_test:
            outcomes.note(row.account, decision)
        return decision

    def _note_answer(self, lane: Lane) -> None:
        """A message got through, so the way is open.

        If a single other message had closed it, that message itself failed: count its attempt.
        """
        closure = lane.answered()
        if closure is not None and len(closure.rows) == 1:
            outbox.count_attempt(closure.rows[0])

    def _hand_back(self, job: Job) -> None:
        """Make a claimed row due again that was not sent."""
        row, template_pk = job.claimed, job.shared.template_pk
        banned = self._sender.is_paused(template_pk)
        parked = banned and not job.shared.has_stand_in
        if not parked:
            job.lane.has_more()
        due_at = None if parked else database_clock.now()
        decision = Decision(
            Status.PENDING, due_at=due_at, doubt=row.doubt, attempted=False, unsent=True
        )
        if banned and row.doubt is not None:
            decision = Decision(Status.UNCERTAIN, doubt=row.doubt, attempted=False)
        self._ledger.note(row, template_pk, decision, None)
        job.lane.unsent()

    def _decide_held(self, lane: Lane, *, others_pass: bool) -> None:
        for job, result, counts in self._undecided.take(lane, others_pass=others_pass):
            self._decide(job, result, counts=counts)

    def _none_in_flight(self, track: Track) -> None:
        """The last request in flight of this account has ended."""
        if not track.lane.gate.shut:
            self._decide_held(track.lane, others_pass=True)
            return
        for job in track.take_staged():
            self._hand_back(job)
        first_failures, last = self._undecided.first_failures(track.lane)
        self._decide_held(track.lane, others_pass=False)
        if last is not None:
            track.lane.way_failed(first_failures, last)

    def _write(self) -> None:
        """Write the noted results, and what follows from them."""
        before = self._report.handled + self._report.handed_back
        paused, freed = self._ledger.write()
        self._sender.paused_templates |= paused
        self._sender.refused_templates -= paused
        if freed:
            for lane in self._lanes:
                lane.has_more()
        written = self._report.handled + self._report.handed_back > before
        if written:
            self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._report)

    def _finish(self) -> None:
        """Wait for requests in flight, hand back the other rows, write all results, end threads."""
        self._sender.abandon.set()
        try:
            for track in self._tracks.values():
                for job in track.take_staged():
                    self._hand_back(job)
            if self._stop.is_set():
                self._write()  # others can send these rows while this waits for what is in flight
            while self._in_threads:
                done = take(self._finished, timeout=None)
                if done is not None:
                    self._handle_or_log(done)
            for lane in self._lanes:
                self._decide_held(lane, others_pass=False)
            self._write()
            self._ledger.end()
        finally:
            for track in self._tracks.values():
                track.close()

    def _handle_or_log(self, done: Done[Task]) -> None:
        """Handle it; if the cache fails, log that. The row's result is noted before that."""
        try:
            self._handle(done)
        except Exception:
            logger.exception("A result is recorded, but the account's state could not be updated.")
