"""Messages to many people, which are held until a second person approves them.

They are written as all others are, and parked. ``Notification.held_at`` keeps everything but an
approval from making them due; ``approving`` decides.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone

from ..conf import settings
from ..models import Approval, ApprovalRequest, Notification, SendLog, person_fields

Decision = ApprovalRequest.Decision


def hold_above(notifications: Iterable[Notification]) -> None:
    """Hold what this transaction has written, if it is for more people than ``APPROVAL_ABOVE``.

    All are counted together: they are what one person asked for at once. Nobody else can see the
    rows yet, so that none of them can be due before it is held.
    """
    limit = settings.APPROVAL_ABOVE
    written = {one.pk: one for one in notifications}
    if limit is None or not written:
        return
    rows = SendLog.objects.waiting().filter(notification__in=written)
    counted = rows.order_by().values_list("notification").annotate(n=Count("pk"))
    numbers = dict(counted)
    if sum(numbers.values()) <= limit:
        return
    now = timezone.now()
    rows.update(due_at=None)
    Notification.objects.filter(pk__in=numbers).update(held_at=now)
    for pk in numbers:
        written[pk].held_at = now
    Approval.objects.bulk_create(
        Approval(
            notification_id=pk,
            messages=number,
            asked_at=now,
            **person_fields("asked_by", written[pk].created_by),
        )
        for pk, number in numbers.items()
    )


def end_requests(
    requests: QuerySet[Any],
    decision: ApprovalRequest.Decision,
    *,
    by: Any = None,
    reason: str = "",
    **columns: Any,
) -> int:
    """Decide those of ``requests`` that are open. Returns how many: a decision is made once.

    ``by``: who decides, where that is known. ``columns``: further columns to write.
    """
    return requests.filter(decision="").update(
        decision=decision,
        decided_at=timezone.now(),
        reason=reason,
        **person_fields("decided_by", by),
        **columns,
    )
