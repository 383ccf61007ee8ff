"""A worker: delivery round after round, through restarts of the database, until told to stop."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.core.cache import caches
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from ..conf import settings
from ..models import SendLog
from . import engine, receipts
from .engine import Report
from .outbox import database

logger = logging.getLogger(__name__)

Status = SendLog.Status

# A database that restarts, a deadlock, a locked SQLite file: wait, and go on.
DATABASE_TROUBLE = (OperationalError, InterfaceError)
DATABASE_WAIT_FIRST = 0.5
DATABASE_WAIT_MOST = 30.0
DATABASE_TRIES = 5
# An idle worker looks less and less often, down to once in so many intervals.
IDLE_MOST = 4
RECEIPTS_A_ROUND = 2_000
SIGN_OF_LIFE_SECONDS = 15.0
SIGN_OF_LIFE_KEPT = 7 * 24 * 3600

Progress = Callable[[Report], None]


class Worker:
    """Delivers what is due for some accounts, in the caller's thread.

    ``account`` and ``notification_id`` narrow it down; ``limit`` is the most messages to handle.
    ``progress`` is called now and then with what has been done so far.

    ``report`` is what has been done so far, whatever happens. ``stop``, once set, ends it:
    requests in flight are finished, no more rows are claimed.
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
        self._signed_at = -SIGN_OF_LIFE_SECONDS

    def drain(self) -> None:
        """Deliver until nothing more can be done now.

        Raises the database's error where it does not come back within some seconds.
        """
        failures = 0
        while self._goes_on:
            try:
                if not self._round():
                    receipts.settle()
                    return
                failures = 0
            except DATABASE_TROUBLE:
                failures += 1
                if failures == DATABASE_TRIES:
                    raise
                self._outlast(failures)

    def watch(self, interval: float) -> None:
        """Deliver, look again every ``interval`` seconds, a few times less often when idle."""
        failures = idle = 0
        while self._goes_on:
            try:
                idle = 0 if self._round() else idle + 1
                failures = 0
            except Exception:  # noqa: BLE001 - logged there
                # Not only the database: every cache library has its own word for "restarting".
                # A worker that stays outlasts them all.
                failures += 1
                self._outlast(failures)
                continue
            if idle:
                self.stop.wait(interval * min(2 ** (idle - 1), IDLE_MOST))

    @property
    def _left(self) -> int | None:
        return None if self._limit is None else max(0, self._limit - self.report.handled)

    @property
    def _goes_on(self) -> bool:
        return not self.stop.is_set() and self._left != 0

    def _round(self) -> bool:
        """One delivery run, if anything is due. Whether it got anywhere."""
        self._sign()
        close_old_connections()
        receipts.settle_in_passing(limit=RECEIPTS_A_ROUND)
        if not anything_due(self.aliases):
            return False
        before = self.report.handled
        run = Report()

        def progress(report: Report) -> None:
            nonlocal run
            run = report
            if self._progress is not None:
                self._progress(_sum(self.report, report))
            self._sign()

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

    def _outlast(self, failures: int) -> None:
        wait = min(DATABASE_WAIT_FIRST * 2 ** (failures - 1), DATABASE_WAIT_MOST)
        logger.warning(
            "The worker was interrupted; it goes on in %g s.", wait, exc_info=failures == 1
        )
        database().close_if_unusable_or_obsolete()
        self.stop.wait(wait)

    def _sign(self) -> None:
        if time.monotonic() - self._signed_at >= SIGN_OF_LIFE_SECONDS:
            self._signed_at = time.monotonic()
            give_sign_of_life(self.aliases)


def anything_due(aliases: list[str]) -> bool:
    """Whether rows are due, or held by a worker that died. Reads only, so it locks nothing."""
    now = timezone.now()
    logs = SendLog.objects.using(database().alias).filter(account__in=aliases)
    ended = now - timedelta(seconds=settings.LEASE)
    return (
        logs.waiting().filter(due_at__lte=now).exists()
        or logs.filter(status=Status.SENDING, claimed_at__lte=ended).exists()
    )


def give_sign_of_life(aliases: list[str]) -> None:
    """Note in the cache that a worker is at work for these accounts."""
    # As text: caches may be set up to keep nothing but JSON.
    now = timezone.now().isoformat()
    caches[settings.CACHE].set_many({_sign_key(alias): now for alias in aliases}, SIGN_OF_LIFE_KEPT)


def last_seen(alias: str) -> datetime | None:
    """When a worker was last at work for this account; None: not within a week."""
    found = caches[settings.CACHE].get(_sign_key(alias))
    return datetime.fromisoformat(found) if isinstance(found, str) else None


def _sign_key(alias: str) -> str:
    return f"wechat_notify:worker:{alias}"


def _sum(one: Report, other: Report) -> Report:
    both = Report()
    both.add(one)
    both.add(other)
    return both
