"""Rows without a due date: parked while their notification is paused or held for approval, or their
template rests.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import DateTimeField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..models import MessageTemplate, Notification, SendLog, database


def due_or_parked(notification: Notification, rests: bool | None = None) -> datetime | None:
    """When the rows that this transaction writes are due. None: they are parked.

    ``rests``: whether the template does, if that was just read. Without it, the template is read
    again, because the caller's may be old.
    """
    this = MessageTemplate.objects.filter(pk=notification.template_id)
    if rests is None:
        # Nearly always nothing stops it, and then this query is all.
        usable = list(this.values_list("paused_at", "is_active")) == [(None, True)]
        rests = not usable and this.resting().exists()
    if rests:
        _unpark_after_commit(notification)
        return None
    return notification.send_at or timezone.now()


def unpark(notifications: QuerySet[Notification]) -> int:
    """Make parked rows due if notification and template let them go. Returns how many.

    One statement for any number of notifications: a row is due at its notification's ``send_at``,
    or now if that time has passed.
    """
    now = timezone.now()
    resting = MessageTemplate.objects.resting()
    free = notifications.filter(paused_at__isnull=True, held_at__isnull=True)
    free = free.exclude(template__in=resting.values("pk"))
    logs = SendLog.objects.waiting()
    parked = logs.filter(due_at__isnull=True, notification__in=free.values("pk"))
    these = Notification.objects.filter(pk=OuterRef("notification"))
    moment = Value(now, output_field=DateTimeField())
    later = Subquery(these.filter(send_at__gt=now).values("send_at"))
    return parked.update(due_at=Coalesce(later, moment))


def lock_template(notification: Notification) -> None:
    """Lock its template and that one's stand-in, before ``unpark()``. Call inside a transaction.

    Whoever lets one of them go at this moment may have looked for rows while the notification was
    still held, or before its rows were visible.
    """
    own = MessageTemplate.objects.filter(pk=notification.template_id)
    stand_ins = own.filter(stand_in__isnull=False).values_list("stand_in", flat=True)
    no_key = database().features.has_select_for_no_key_update
    locked = MessageTemplate.objects.select_for_update(no_key=no_key).order_by("pk")
    list(locked.filter(pk__in=[notification.template_id, *stand_ins]))


def free_waiting(template: MessageTemplate) -> tuple[list[Notification], int]:
    """Make parked rows due of a template, and of those that it stands in for, where nothing else
    holds them. Returns their notifications, and the number of rows. Call inside a transaction.
    """
    parked = SendLog.objects.waiting().filter(account=template.account, due_at__isnull=True)
    its = Notification.objects.filter(
        Q(template=template) | Q(template__stand_in=template),
        paused_at__isnull=True,
        held_at__isnull=True,
    )
    held = its.filter(pk__in=parked.values("notification_id")).select_related("template")
    notifications = list(held)
    return notifications, unpark(its)


def follow_name(notification: Notification) -> None:
    """If another template has the notification's name meanwhile, send its messages with that."""
    named = MessageTemplate.objects.filter(
        account=notification.account, name=notification.template_name
    )
    now = named.first()
    if now is not None and now.pk != notification.template_id:
        Notification.objects.filter(pk=notification.pk).update(template=now)


def _unpark_after_commit(notification: Notification) -> None:
    """A resume of the template before the commit does not see these rows, so unpark them here."""
    using = database().alias

    def unpark_if_resumed() -> None:
        with transaction.atomic(using=using):
            lock_template(notification)
            follow_name(notification)
            unpark(Notification.objects.filter(pk=notification.pk))

    transaction.on_commit(unpark_if_resumed, using=using, robust=True)
