"""What waits: hold it, let it go on, give it another time, or call it off.

These verbs are used from ``services``, where all of them stand together.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import DateTimeField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from .dispatchers.on_commit import hand_over_on_commit, ready_to_send
from .models import (
    Approval,
    MessageTemplate,
    Notification,
    SendLog,
    SendLogQuerySet,
    database,
    repeats_on_conflict,
)
from .sending.breaker import Breaker
from .sending.way_out import forget_closures
from .template_replacement import move_name
from .writing.held import Decision, end_requests
from .writing.parking import free_waiting, lock_template, unpark
from .writing.what_waits import UNCHANGED, Unchanged, call_off, lock, move, nothing_waits, set_times

Status = SendLog.Status


@repeats_on_conflict
def cancel(notification: Notification) -> int:
    """Cancel the messages that still wait. Returns how many will not be sent.

    A message that is being sent at this moment cannot be stopped. One that may have arrived in an
    earlier attempt is not tried again and becomes ``uncertain``. A request for approval is
    withdrawn. Where everything is over already, nothing is changed.
    """
    rows = SendLog.objects.filter(notification=notification)
    with transaction.atomic(using=database().alias):
        lock(notification)
        if rows.filter(status__in=SendLog.OPEN).exists():
            # For rows that are being sent now and fail: the mark keeps them from being tried again.
            _mark(notification, "cancelled_at")
        notification.refresh_from_db(using=database().alias, fields=["cancelled_at"])
        end_requests(Approval.objects.filter(notification=notification), Decision.WITHDRAWN)
        in_doubt = rows.waiting().filter(in_doubt_since__isnull=False)
        now = timezone.now()
        in_doubt.update(status=Status.UNCERTAIN, due_at=None, finished_at=now)
        # Not those that came into doubt meanwhile: the engine sees the mark, and ends them so, too.
        return rows.not_left().update(status=Status.CANCELLED, due_at=None, finished_at=now)


@repeats_on_conflict
def pause(notification: Notification) -> int:
    """Hold what is still waiting until ``resume``. Returns how many messages wait."""
    with transaction.atomic(using=database().alias):
        _mark(notification, "paused_at")
        notification.refresh_from_db(using=database().alias, fields=["paused_at"])
        return SendLog.objects.waiting().filter(notification=notification).update(due_at=None)


@repeats_on_conflict
def resume(notification: Notification) -> int:
    """Let a paused notification go on. Returns how many messages are due again.

    None are while its template is paused: they wait for ``resume_template``. Nor are those that
    wait for approval.
    """
    dispatcher = ready_to_send(notification.template.account)
    with transaction.atomic(using=database().alias):
        lock_template(notification)
        this = Notification.objects.filter(pk=notification.pk)
        this.update(paused_at=None)
        notification.refresh_from_db(using=database().alias, fields=["paused_at"])
        freed = unpark(this)
    hand_over_on_commit(dispatcher, [notification])
    return freed


@repeats_on_conflict
def reschedule(
    notification: Notification,
    *,
    send_at: datetime | Unchanged | None = UNCHANGED,
    expires_at: datetime | Unchanged | None = UNCHANGED,
) -> int:
    """Send what still waits at another time. Returns how many messages that concerns.

    ``send_at`` None: now; ``expires_at`` None: never; what is left out stays as it is. A message
    that a worker has taken already stays as it is, and so does one that may have arrived. One that
    waits for another attempt never leaves sooner than it would have; paused ones stay paused.

    Raises ``InvalidData`` for a naive datetime, an expiry that has passed or is not after
    ``send_at``, and where nothing waits; then nothing is changed.
    """
    dispatcher = ready_to_send(notification.template.account)
    with transaction.atomic(using=database().alias):
        lock(notification)
        notification.refresh_from_db(using=database().alias, fields=["send_at", "expires_at"])
        set_times(notification, send_at, expires_at)
        if isinstance(send_at, Unchanged):
            moved = SendLog.objects.filter(notification=notification).not_left().count()
        else:
            moved = move(notification, send_at)
        if not moved:
            raise nothing_waits()
    notification.refresh_from_db(using=database().alias, fields=["send_at", "expires_at"])
    hand_over_on_commit(dispatcher, [notification])
    return moved


@repeats_on_conflict
def send_instead(
    notification: Notification, write: Callable[[SendLogQuerySet], Notification]
) -> Notification:
    """Cancel what has not left of a notification, and send another one in its place.

    ``write`` gets the rows that were really cancelled, and calls ``notify()`` for their people:
    both happen in one transaction, so that nobody gets both, and nobody neither. A message that a
    worker has taken already, or that may have arrived, stays with the old notification. The new
    one's ``replaces`` points to the old one. ``write`` may be called more than once.

    Returns what ``write`` returned. If its ``key`` found an earlier notification, nothing is
    cancelled. Raises ``InvalidData`` where nothing waited any more, and whatever ``write`` raises;
    then nothing is changed.
    """
    using = database().alias
    with transaction.atomic(using=using):
        lock(notification)
        cancelled = call_off(notification)
        new = write(cancelled)
        if not new.is_new:
            transaction.set_rollback(True, using=using)
            return new
        if not cancelled.exists():
            raise nothing_waits()
        new.replaces = notification
        new.save(update_fields=["replaces"])
    return new


@repeats_on_conflict
def resume_template(template: MessageTemplate) -> int:
    """Let a paused template go on. Returns how many waiting messages are due again."""
    dispatcher = ready_to_send(template.account)
    with transaction.atomic(using=database().alias):
        template.paused_at, template.pause_errcode = None, None
        template.save(update_fields=["paused_at", "pause_errcode"])
        held, freed = free_waiting(template)
    hand_over_on_commit(dispatcher, held)
    return freed


@repeats_on_conflict
def release_template(template: MessageTemplate) -> int:
    """Let waiting messages go on that a change of the template allows. Returns how many.

    Call it after switching a template on, or giving it a stand-in. While the template is banned
    and has no usable stand-in, none go on.
    """
    dispatcher = ready_to_send(template.account)
    with transaction.atomic(using=database().alias):
        held, freed = free_waiting(template)
    hand_over_on_commit(dispatcher, held)
    return freed


@repeats_on_conflict
def replace_template(
    old: MessageTemplate, new: MessageTemplate, fields: Mapping[str, str] | None = None
) -> int:
    """Let the name of ``old`` point to ``new``, another template of the same account.

    Code goes on as it is, and what waits goes out with ``new``. ``fields`` are the field names of
    ``new``: from each name that code uses, or key of ``old`` that has no name, to a key of ``new``,
    or to "" to leave it out; None: as proposed. ``review_replacement()`` says beforehand what will
    happen. ``old`` stays registered under a name of its own. To undo it, replace ``new`` by it.

    Returns how many parked messages are due again. Raises ``InvalidData`` with all problems, and
    nothing is changed.
    """
    dispatcher = ready_to_send(old.account)
    with transaction.atomic(using=database().alias):
        named = move_name(old, new, fields)
        held, freed = free_waiting(named)
    for template in (old, new):
        template.refresh_from_db(using=database().alias)
    hand_over_on_commit(dispatcher, held)
    return freed


def resume_account(account: str) -> None:
    """End an account's rest, on every host, and send what has become due meanwhile."""
    dispatcher = ready_to_send(account)
    Breaker(account).clear()
    forget_closures(account)
    due = SendLog.objects.waiting().filter(account=account, due_at__lte=timezone.now())
    held = Notification.objects.filter(pk__in=due.values("notification_id"))
    hand_over_on_commit(dispatcher, list(held.select_related("template").order_by("pk")))


def _mark(notification: Notification, field: str) -> None:
    """Set the time unless it is set. Always a write, for its lock: one verb after the other."""
    now = Value(timezone.now(), output_field=DateTimeField())
    Notification.objects.filter(pk=notification.pk).update(**{field: Coalesce(field, now)})
