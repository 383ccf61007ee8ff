"""Changes what has not left yet of a notification: when it leaves, or that it does not.

Only waiting rows of which no attempt may have arrived are changed. What a worker has claimed, what
is in doubt and what is over stay as they are.
"""

from datetime import datetime
from enum import Enum
from typing import Any

from django.db.models import Case, DateTimeField, F, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from ..exceptions import InvalidData, Problem
from ..models import Approval, Notification, SendLog, SendLogQuerySet
from .content import time_problems
from .held import Decision, end_requests

Status = SendLog.Status


class Unchanged(Enum):
    """The value of an argument that was not given; None means "no time"."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


def nothing_waits() -> InvalidData:
    """The error where there is nothing to change."""
    return InvalidData([Problem("notification", _("has no message that still waits"))])


def lock(notification: Notification) -> None:
    """Let one verb after the other change this notification, until the transaction ends."""
    # A write, for databases without row locks; it changes nothing.
    Notification.objects.filter(pk=notification.pk).update(cancelled_at=F("cancelled_at"))


def set_times(
    notification: Notification,
    send_at: datetime | Unchanged | None,
    expires_at: datetime | Unchanged | None,
) -> None:
    """Store the times that were given. Raises ``InvalidData`` with all that is wrong with them."""
    wanted: dict[str, Any] = {"send_at": send_at, "expires_at": expires_at}
    given = {name: value for name, value in wanted.items() if value is not UNCHANGED}
    after = {name: given.get(name, getattr(notification, name)) for name in wanted}
    problems = time_problems(after["send_at"], after["expires_at"])
    expires = after["expires_at"]
    if not problems and expires is not None and expires <= timezone.now():
        problems.append(Problem("expires_at", _("has passed"), expires))
    if problems:
        raise InvalidData(problems)
    Notification.objects.filter(pk=notification.pk).update(**given)


def move(notification: Notification, send_at: datetime | None) -> int:
    """Make the waiting rows due at ``send_at``, or now. Returns how many; one statement.

    A row that was tried and waits for its next attempt never leaves sooner than it would have. A
    parked row stays parked: whoever lets it go reads the notification's ``send_at``.
    """
    now = timezone.now()
    moment = Value(max(send_at or now, now), output_field=DateTimeField())
    due = Case(
        When(due_at__isnull=True, then=None),
        When(attempts__gt=0, due_at__gt=moment, then=F("due_at")),
        default=moment,
        output_field=DateTimeField(),
    )
    return SendLog.objects.filter(notification=notification).not_left().update(due_at=due)


def call_off(notification: Notification) -> SendLogQuerySet:
    """Cancel the waiting rows. Returns just those that this call has cancelled.

    Where nothing else can leave any more, the notification counts as cancelled, and a request for
    its approval as withdrawn. Call it inside a transaction, after ``lock()``.
    """
    now = timezone.now()
    rows = SendLog.objects.filter(notification=notification)
    rows.not_left().update(status=Status.CANCELLED, due_at=None, finished_at=now)
    if not rows.filter(status__in=SendLog.OPEN).exists():
        still = Notification.objects.filter(pk=notification.pk, cancelled_at__isnull=True)
        still.update(cancelled_at=now)
        end_requests(Approval.objects.filter(notification=notification), Decision.WITHDRAWN)
    return rows.filter(status=Status.CANCELLED, finished_at=now)
