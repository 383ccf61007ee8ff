"""Deleting what is old: log rows, then the notifications left without any, then receipts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from ..models import Notification, Receipt, SendLog
from .outbox import database

# Small enough that a delete holds its locks for a moment only, beside workers that send.
BATCH = 1_000


@dataclass
class Pruned:
    """How many rows were deleted, or would be."""

    messages: int = 0
    notifications: int = 0
    receipts: int = 0


def prune(
    before: datetime,
    *,
    dry_run: bool = False,
    progress: Callable[[Pruned], None] = lambda done: None,
) -> Pruned:
    """Delete finished messages of notifications made before ``before``, in batches.

    Delivery receipts that came before then go too; what they said stands on their messages.
    A message that is still waiting or being sent is never deleted, nor one that was tried since,
    nor a notification that has any message left. Memory does not grow with the number of rows.
    ``progress`` is called after each batch. Safe to stop at any moment, and to run beside workers.
    """
    done = Pruned()
    for page in _pages(before):
        for count in _prune_messages(page, before, dry_run):
            done.messages += count
            progress(done)
        done.notifications += _prune_notifications(page, before, dry_run)
        progress(done)
    for count in _prune_receipts(before, dry_run):
        done.receipts += count
        progress(done)
    return done


def _pages(before: datetime) -> Iterator[list[int]]:
    """Old notifications, some at a time. Not ``iterator()``: on MariaDB it loads all at once."""
    old = Notification.objects.using(database().alias).filter(created_at__lt=before).order_by("pk")
    last = 0
    while page := list(old.filter(pk__gt=last).values_list("pk", flat=True)[:BATCH]):
        yield page
        last = page[-1]


def _old_messages(notifications: list[int], before: datetime) -> QuerySet[SendLog]:
    untouched = Q(claimed_at__isnull=True) | Q(claimed_at__lt=before)
    logs = SendLog.objects.using(database().alias).filter(notification__in=notifications)
    return logs.final().filter(untouched)


def _prune_messages(page: list[int], before: datetime, dry_run: bool) -> Iterator[int]:
    old = _old_messages(page, before)
    if dry_run:
        yield old.count()
        return
    while pks := list(old.values_list("pk", flat=True)[:BATCH]):
        # The collector, not raw SQL: a newer resend of these rows must forget them, and other
        # apps may have rows of their own that hang on ours.
        yield _deleted(SendLog.objects.using(old.db).filter(pk__in=pks))


def _prune_notifications(page: list[int], before: datetime, dry_run: bool) -> int:
    using = database().alias
    left = SendLog.objects.using(using).filter(notification=OuterRef("pk"))
    if dry_run:
        left = left.exclude(pk__in=_old_messages(page, before).values("pk"))
    empty = Notification.objects.using(using).filter(~Exists(left), pk__in=page)
    return empty.count() if dry_run else _deleted(empty)


def _prune_receipts(before: datetime, dry_run: bool) -> Iterator[int]:
    old = Receipt.objects.using(database().alias).filter(received_at__lt=before)
    if dry_run:
        yield old.count()
        return
    while pks := list(old.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        yield _deleted(Receipt.objects.using(old.db).filter(pk__in=pks))


def _deleted(rows: QuerySet[Any]) -> int:
    """How many rows of the model itself went, without what hung on them."""
    return rows.delete()[1].get(rows.model._meta.label, 0)
