"""At most so many messages a day to one person by one rule."""

from datetime import datetime, time
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone

from ..models import SendLog

Status = SendLog.Status
NOT_SENT = (Status.SKIPPED, Status.CANCELLED, Status.EXPIRED, Status.FAILED)
"""What did not reach anybody is not counted."""


def below_limit(users: QuerySet[Any], rule_pk: int, most: int | None) -> QuerySet[Any]:
    """Those of ``users`` whom this rule may tell once more today.

    A day begins at midnight of the site's time zone. Two transactions that run at the same moment
    do not see each other's messages, and may each send one: the limit is no lock, because whoever
    saves an object must not wait for everybody else who saves one.
    """
    if most is None:
        return users
    told = (
        SendLog.objects.filter(
            notification__rule_firings__rule=rule_pk,
            notification__rule_firings__fired_at__gte=_midnight(),
            user__isnull=False,
        )
        .exclude(status__in=NOT_SENT)
        .order_by()
        .values("user")
        .annotate(n=Count("notification", distinct=True))
        .filter(n__gte=most)
        .values_list("user", flat=True)
    )
    # As a list: users may stand in another database.
    return users.exclude(pk__in=list(told))


def _midnight() -> datetime:
    zone = timezone.get_default_timezone()
    today = timezone.localtime(timezone.now(), zone).date()
    return datetime.combine(today, time(), tzinfo=zone)
