"""When notifications' next row is due, and a warning for rows that only a worker can send."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from django.utils import timezone

from ..conf import settings
from ..models import SendLog
from ..sending import database_clock

logger = logging.getLogger(__name__)


def next_due(notifications: Collection[int]) -> datetime | None:
    """When the next row of these notifications can be sent; None: they have no open row.

    That is when the next row is due, or when the lease of a claimed row ends: its worker may have
    died. A time in the past means now.
    """
    logs = SendLog.objects.filter(notification__in=notifications)
    due = logs.waiting().filter(due_at__isnull=False).order_by("due_at")
    moment = due.values_list("due_at", flat=True).first()
    if moment is not None and moment <= timezone.now():
        return moment
    held = logs.filter(status=SendLog.Status.SENDING).order_by("claimed_at")
    claimed_at = held.values_list("claimed_at", flat=True).first()
    claimed_at = database_clock.as_local(claimed_at)
    if claimed_at is None:
        return moment
    lease_ends = claimed_at + timedelta(seconds=settings.LEASE)
    return lease_ends if moment is None else min(moment, lease_ends)


def warn_of_waiting(notifications: Collection[int]) -> None:
    """Log one warning if messages of these notifications wait for a worker."""
    moment = next_due(notifications)
    if moment is None:
        return
    first, *more = notifications
    logger.warning(
        "%s: messages due since or at %s wait for a worker (manage.py wechat_deliver, from cron or "
        "with --watch).",
        f"Among {len(more) + 1} notifications" if more else f"Notification {first}",
        timezone.localtime(moment).isoformat(timespec="seconds"),
    )
