"""The database's clock, which all workers share. Leases and repeat windows are measured by it.

By their own clocks, two hosts that differ by minutes would take each other's rows for abandoned,
or repeat a message when WeChat no longer recognises the repeat. ``due_at``, ``send_at`` and
``expires_at`` are by the host's clock, ``timezone.now()``.
"""

import logging
import time
from datetime import datetime, timedelta, timezone

from django.utils import timezone as django_timezone

from ..models import database

logger = logging.getLogger(__name__)

MEASURED_FOR = 60.0
# A difference that is logged. It is well within the margin of the repeat window.
LOGGED_FROM = timedelta(seconds=30)

# SQLite uses this host's clock.
_STATEMENTS = {"postgresql": "SELECT clock_timestamp()", "mysql": "SELECT UTC_TIMESTAMP(6)"}


class _Clock:
    """The database's clock as this process last measured it."""

    def __init__(self) -> None:
        self.offset = timedelta(0)
        self._measured_at: float | None = None
        self._logged = False

    def measure(self) -> timedelta:
        """How far the database's clock is ahead of this host's. Runs a query once a minute at most.

        Threads that must not use the database call ``now()``, which runs none.
        """
        fresh = self._measured_at is not None
        if fresh and time.monotonic() - (self._measured_at or 0) < MEASURED_FOR:
            return self.offset
        statement = _STATEMENTS.get(database().vendor)
        if statement is not None:
            self.offset = _difference(statement)
        self._measured_at = time.monotonic()
        if abs(self.offset) >= LOGGED_FROM and not self._logged:
            self._logged = True
            logger.warning(
                "This host's clock differs from the database's by %d seconds. Leases and repeat "
                "windows are measured by the database's clock. Set the host's clock with NTP.",
                -round(self.offset.total_seconds()),
            )
        return self.offset


def _difference(statement: str) -> timedelta:
    with database().cursor() as cursor:
        before = django_timezone.now()
        cursor.execute(statement)
        (theirs,) = cursor.fetchone()
        after = django_timezone.now()
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=timezone.utc)
    return timedelta(seconds=(theirs - (before + (after - before) / 2)).total_seconds())


_clock = _Clock()


def measure() -> timedelta:
    """How far the database's clock is ahead of this host's, measured at most once a minute."""
    return _clock.measure()


def now() -> datetime:
    """The time by the database's clock, as it was last measured. Runs no query."""
    return django_timezone.now() + _clock.offset


def as_local(moment: datetime | None) -> datetime | None:
    """Convert a time of the database's clock to this host's clock."""
    return None if moment is None else moment - _clock.offset


def as_databases(moment: datetime | None) -> datetime | None:
    """Convert a time of this host's clock to the database's clock."""
    return None if moment is None else moment + _clock.offset
