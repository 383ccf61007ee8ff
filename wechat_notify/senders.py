"""Who sends an account's messages, and whether anybody does, as far as this process can tell."""

from datetime import datetime, timedelta

from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from .conf import settings
from .dispatchers.base import BaseDispatcher, get_dispatcher
from .dispatchers.signs_of_life import BACKGROUND, TASK, WORKER, last_seen, seen_lately
from .models import Notification, SendLog, SendLogQuerySet

__all__ = [
    "BACKGROUND",
    "TASK",
    "WORKER",
    "how_to_start",
    "is_unattended",
    "last_seen",
    "late_rows",
    "needs_worker",
    "nobody_sends_later",
    "overdue_since",
    "seen_lately",
    "sends_itself",
    "signs_are_shared",
]

LATE = timedelta(minutes=2)
"""Messages that are due for so long, while nobody sends for the account, are overdue."""


def signs_are_shared() -> bool:
    """Whether other processes' signs of life are seen here, or the cache is of this process."""
    return not isinstance(caches[settings.CACHE], LocMemCache)


def needs_worker() -> bool:
    """Whether the configured dispatcher leaves to ``wechat_deliver`` what is due later."""
    dispatcher = _dispatcher()
    return dispatcher is not None and dispatcher.needs_worker


def sends_itself() -> bool:
    """Whether the configured dispatcher sends what is due now, with no worker."""
    return (_dispatcher() or BaseDispatcher).sends_itself


def how_to_start() -> str:
    """What to do where nobody sends: one sentence, for the configured dispatcher."""
    return str((_dispatcher() or BaseDispatcher).how_to_start)


def nobody_sends_later(account: str) -> bool:
    """Whether what is scheduled would stay, because no worker was seen within two minutes."""
    return needs_worker() and signs_are_shared() and not seen_lately(account, WORKER, BACKGROUND)


def is_unattended(account: str) -> bool:
    """Whether nobody was seen to send for the account lately, where that would be seen here."""
    if seen_lately(account, WORKER, TASK, BACKGROUND):
        return False
    return signs_are_shared() or not needs_worker()


def late_rows() -> SendLogQuerySet:
    """Messages that are overdue if their account is unattended."""
    return SendLog.objects.waiting().filter(due_at__lt=timezone.now() - LATE)


def overdue_since(account: str, notification: Notification | None = None) -> datetime | None:
    """Since when messages are due that nobody sends; None: none is, or somebody is at work.

    None also where a worker's sign of life would not be seen here.
    """
    if not is_unattended(account):
        return None
    due = late_rows().filter(account=account)
    if notification is not None:
        due = due.filter(notification=notification)
    return due.order_by("due_at").values_list("due_at", flat=True).first()


def _dispatcher() -> BaseDispatcher | None:
    """The configured one; None where it cannot work, which the system checks say."""
    try:
        return get_dispatcher()
    except ImproperlyConfigured:
        return None
