"""A worker: repeats delivery runs until it is told to stop, also when the database restarts."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils import timezone

from .. import duties
from ..conf import settings
from ..models import DATABASE_TROUBLE, Notification, close_old_connections, database
from ..receipts.settling import settle, settle_in_passing
from ..sending import database_clock, engine
from ..sending.next_moment import next_moment
from ..sending.report import Report
from .base import BaseDispatcher
from .signs_of_life import WORKER, SignOfLife
from .wakeups import Listener, notify_workers

logger = logging.getLogger(__name__)

DATABASE_WAIT_FIRST = 0.5
DATABASE_WAIT_MOST = 30.0
DATABASE_TRIES = 5
# A worker that is woken looks so often nevertheless: rows become due without a NOTIFY as well,
# such as a retry of a process that was killed.
WOKEN_SECONDS = 5.0
RECEIPTS_PER_ROUND = 2_000

Progress = Callable[[Report], None]


class WorkerDispatcher(BaseDispatcher):
    """Sends nothing itself: wakes the ``wechat_deliver --watch`` workers, which find the rows."""

    sends_itself = False

    def dispatch(self, notification: Notification) -> None:
        self.dispatch_all([notification])

    def dispatch_all(self, notifications: Sequence[Notification]) -> None:
        notify_workers(database().alias)


class Worker:
    """Delivers what is due for some accounts, in the caller's thread.

    ``account`` and ``notification_id`` select the rows; ``limit`` is the most messages to handle.
    ``progress`` is called as the engine's is, with the report of all runs so far.

    ``report`` is the report of all runs so far, also after an error. ``stop``, once set, ends the
    worker: requests in flight are finished, no more rows are claimed.
    """

    def __init__(
        self,
        *,
        account: str | None = None,
        notification_id: int | None = None,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.report = Report()
        self.stop = threading.Event()
        self.aliases = settings.aliases if account is None else [account]
        self._account = account
        self._notification_id = notification_id
        self._limit = limit
        self._progress = progress
        self._sign = SignOfLife(WORKER, self.aliases)
        # When the next message is due, as the last round has found.
        self._next: datetime | None = None

    def drain(self) -> None:
        """Deliver until nothing more can be sent now.

        Raises the database's error if the database cannot be used for several seconds.
        """
        failures = 0
        while self._goes_on:
            try:
                if not self._round() and duties.next_due() > 0:
                    settle()
                    return
                failures = 0
            except DATABASE_TROUBLE:
                failures += 1
                if failures == DATABASE_TRIES:
                    raise
                self._wait(failures)

    def watch(self, interval: float) -> None:
        """Deliver, and look for due rows again when woken, or every ``interval`` seconds."""
        failures, woken = 0, False
        with Listener() as listener:
            while self._goes_on:
                try:
                    if self._round(woken=woken) or woken:
                        woken = False
                    else:
                        pause = min(self._pause(interval, listener), duties.next_due())
                        woken = listener.wait(pause, self.stop) and listener.hears
                    failures = 0
                except Exception:  # noqa: BLE001 - _wait() logs it
                    # Any exception: each cache library has its own for a server that restarts.
                    failures, woken = failures + 1, False
                    self._wait(failures)

    def _pause(self, interval: float, listener: Listener) -> float:
        """Seconds until the next look. Who is woken for new messages waits for the known ones."""
        if not listener.hears:
            return interval
        most = max(interval, WOKEN_SECONDS)
        moment = self._next
        left = most if moment is None else (moment - timezone.now()).total_seconds()
        # Those that are due already cannot be sent now, such as those of an account at rest.
        return min(left, most) if left > 0 else interval

    @property
    def _left(self) -> int | None:
        return None if self._limit is None else max(0, self._limit - self.report.handled)

    @property
    def _goes_on(self) -> bool:
        return not self.stop.is_set() and self._left != 0

    def _round(self, *, woken: bool = False) -> bool:
        """One delivery run, if anything is due. Returns whether it handled a message.

        ``woken``: somebody waits for it, so what else a worker does is left to the next round.
        """
        self._sign.give()
        if not woken:
            close_old_connections()
            duties.run_due()
            settle_in_passing(limit=RECEIPTS_PER_ROUND)
        database_clock.measure()  # claimed_at is by that clock; a worker that idles asks no other
        self._next = next_moment(self.aliases)
        if self._next is None or self._next > timezone.now():
            return False
        before = self.report.handled
        run = Report()

        def progress(report: Report) -> None:
            nonlocal run
            run = report
            if self._progress is not None:
                self._progress(_sum(self.report, report))
            self._sign.give()
            duties.run_due()

        try:
            run = engine.deliver(
                account=self._account,
                notification_id=self._notification_id,
                limit=self._left,
                stop=self.stop,
                progress=progress,
            )
        finally:
            self.report.add(run)
        return self.report.handled > before

    def _wait(self, failures: int) -> None:
        """Log the exception, and wait longer after each failure."""
        wait = min(DATABASE_WAIT_FIRST * 2 ** (failures - 1), DATABASE_WAIT_MOST)
        logger.warning(
            "The worker was interrupted; it goes on in %g s.", wait, exc_info=failures == 1
        )
        close_old_connections()
        self.stop.wait(wait)


def _sum(one: Report, other: Report) -> Report:
    both = Report()
    both.add(one)
    both.add(other)
    return both
