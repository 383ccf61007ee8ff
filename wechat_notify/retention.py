"""Deleting what is old: log rows, notifications left without any, receipts, and more.

More are failures of triggers, drafts, alerts that are over, and what optional apps keep beside
them: each adds its rows to ``others``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from .models import (
    Alert,
    Draft,
    Notification,
    Receipt,
    SendLog,
    TriggerFailure,
    pages_by_key,
    repeats_on_conflict,
)

# Small enough that a delete holds its locks for a moment only, beside workers that send.
BATCH = 1_000

others: dict[str, Callable[[datetime], QuerySet[Any]]] = {"alerts": Alert.older_than}
"""More rows that are deleted with the send log, by what they are called: those that are older than
the given moment."""


@dataclass
class Pruned:
    """How many rows were deleted, or would be."""

    messages: int = 0
    notifications: int = 0
    receipts: int = 0
    failures: int = 0
    drafts: int = 0
    others: dict[str, int] = field(default_factory=dict)


def prune(
    before: datetime,
    *,
    dry_run: bool = False,
    batch_size: int = BATCH,
    progress: Callable[[Pruned], None] = lambda done: None,
) -> Pruned:
    """Delete finished messages of notifications made before ``before``, ``batch_size`` at a time.

    Delivery receipts that came before then are deleted too: their rows keep what they said. So are
    failures of triggers, drafts that nobody has saved since, and what ``others`` has.
    A message that is still waiting or being sent is never deleted, nor one that was tried since,
    nor a notification that has any message left. Memory does not grow with the number of rows.
    ``progress`` is called after each batch. Safe to stop at any moment, and to run beside workers.
    """
    done = Pruned()
    old = Notification.objects.filter(created_at__lt=before).values_list("pk", flat=True)
    for page in pages_by_key(old, batch_size, key=int):
        for count in _prune_messages(page, before, dry_run, batch_size):
            done.messages += count
            progress(done)
        done.notifications += _prune_notifications(page, before, dry_run)
        progress(done)
    for count in _prune_rows(Receipt.objects.filter(received_at__lt=before), dry_run, batch_size):
        done.receipts += count
        progress(done)
    failures = TriggerFailure.objects.filter(created_at__lt=before)
    for count in _prune_rows(failures, dry_run, batch_size):
        done.failures += count
        progress(done)
    drafts = Draft.objects.filter(updated_at__lt=before)
    for count in _prune_rows(drafts, dry_run, batch_size):
        done.drafts += count
        progress(done)
    for name, older_than in others.items():
        done.others[name] = 0
        for count in _prune_rows(older_than(before), dry_run, batch_size):
            done.others[name] += count
            progress(done)
    return done


def _old_messages(notifications: list[int], before: datetime) -> QuerySet[SendLog]:
    untouched = Q(claimed_at__isnull=True) | Q(claimed_at__lt=before)
    logs = SendLog.objects.filter(notification__in=notifications)
    return logs.final().filter(untouched)


def _prune_messages(page: list[int], before: datetime, dry_run: bool, size: int) -> Iterator[int]:
    old = _old_messages(page, before)
    if dry_run:
        yield old.count()
        return
    while pks := list(old.values_list("pk", flat=True)[:size]):
        yield _deleted(SendLog.objects.filter(pk__in=pks))


def _prune_notifications(page: list[int], before: datetime, dry_run: bool) -> int:
    left = SendLog.objects.filter(notification=OuterRef("pk"))
    if dry_run:
        left = left.exclude(pk__in=_old_messages(page, before).values("pk"))
    empty = Notification.objects.filter(~Exists(left), pk__in=page)
    return empty.count() if dry_run else _deleted(empty)


def _prune_rows(old: QuerySet[Any], dry_run: bool, size: int) -> Iterator[int]:
    if dry_run:
        yield old.count()
        return
    while pks := list(old.order_by("pk").values_list("pk", flat=True)[:size]):
        yield _deleted(old.filter(pk__in=pks))


@repeats_on_conflict
def _deleted(rows: QuerySet[Any]) -> int:
    """Delete these rows. Returns how many, without counting rows of other models."""
    with transaction.atomic(using=rows.db):
        # Lock them first, in order of their keys: a receipt that is matched at this moment must
        # not be made to refer to a row that is about to be deleted.
        list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
        # Django's collector, not raw SQL: newer resends refer to these rows, and other apps may
        # have rows that refer to ours.
        return rows.delete()[1].get(rows.model._meta.label, 0)
