"""Takes back rows of workers that died, and gives up rows in an outage that does not end."""

import logging
from datetime import timedelta

from django.utils import timezone

from ..conf import settings
from ..models import SendLog
from . import database_clock, outbox
from .aftermath import tell
from .forks_record import record_missed_hooks
from .lane import Lane
from .policy import repeat_window

logger = logging.getLogger(__name__)


def sweep(lane: Lane) -> None:
    """Make rows due again whose lease has ended, and give up rows that waited too long."""
    record_missed_hooks()
    taken = outbox.requeue_abandoned(
        lane.alias,
        now=database_clock.now(),
        due_at=timezone.now(),
        lease=settings.LEASE,
        window=repeat_window(lane.backend.supports_repeats),
    )
    if taken:
        logger.warning("Took back %d messages from workers that died.", taken)
    _give_up(lane)


def _give_up(lane: Lane) -> None:
    """After ``GIVE_UP_AFTER`` without an answer of WeChat's, fail rows that waited as long."""
    before = timezone.now() - timedelta(seconds=settings.GIVE_UP_AFTER)
    closure = lane.closure()
    if closure is None or closure.since > before:
        return
    failed = outbox.give_up(lane.alias, before=before, errmsg=closure.errmsg)
    if failed:
        logger.error("Gave up %d messages of account %r.", len(failed), lane.alias)
        tell(SendLog.Status.FAILED, failed)
