"""Conditions that leave only some of those who were chosen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ...models import MessageTemplate, OpenIDBinding, SendLog, SendLogQuerySet

Status = SendLog.Status

MISSED = (
    Status.UNDELIVERED,
    Status.FAILED,
    Status.SKIPPED,
    Status.EXPIRED,
    Status.CANCELLED,
)
"""What surely did not arrive."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Only people who have bound WeChat since a day, only those whose last message did not arrive.

    The last message with the template that is composed with, or on the account if there is none;
    tests do not count.
    """

    bound_since: date | None = None
    missed: bool = False

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Narrowing":
        """What ``as_json`` made."""
        since = kept.get("bound_since")
        return cls(parse_date(since) if since else None, bool(kept.get("missed")))

    def as_json(self) -> dict[str, Any]:
        """For a JSON column, without what was not chosen."""
        kept: dict[str, Any] = {}
        if self.bound_since is not None:
            kept["bound_since"] = self.bound_since.isoformat()
        if self.missed:
            kept["missed"] = True
        return kept

    def summary(self) -> Iterator[str]:
        """Each condition in a few words."""
        if self.bound_since is not None:
            day = date_format(self.bound_since, "DATE_FORMAT")
            yield _("Only who has bound WeChat since %s") % day
        if self.missed:
            yield _("Only who did not get the last message")

    def users(self, account: str, template: MessageTemplate | None) -> Q:
        """The condition on users."""
        wanted = Q()
        if self.bound_since is not None:
            bound = self._bound(account).filter(user=OuterRef("pk"))
            wanted &= Q(Exists(bound))
        if self.missed:
            # From the rows that did not arrive, which are few, and not from the users.
            logs = _logs(account, template).filter(user__isnull=False)
            later = logs.filter(user=OuterRef("user"), pk__gt=OuterRef("pk"))
            last = logs.filter(~Exists(later), status__in=MISSED)
            wanted &= Q(pk__in=last.values("user"))
        return wanted

    def openids(
        self, openids: list[str], account: str, template: MessageTemplate | None
    ) -> list[str]:
        """Those of ``openids`` that meet the conditions. One that is not bound was never bound."""
        left = set(openids)
        if self.bound_since is not None:
            bound = self._bound(account).filter(openid__in=left)
            left = set(bound.values_list("openid", flat=True))
        if self.missed:
            logs = _logs(account, template).filter(openid__in=left).order_by("pk")
            last = dict(logs.values_list("openid", "status"))
            left = {openid for openid, status in last.items() if status in MISSED}
        return [openid for openid in openids if openid in left]

    def _bound(self, account: str) -> QuerySet[OpenIDBinding]:
        day = self.bound_since or date.min
        midnight = timezone.make_aware(datetime.combine(day, time.min))
        return OpenIDBinding.objects.filter(account=account, created_at__gte=midnight)


EVERYBODY = Narrowing()
"""Leaves nobody out."""


def _logs(account: str, template: MessageTemplate | None) -> SendLogQuerySet:
    logs = SendLog.objects.filter(account=account).without_tests()
    return logs if template is None else logs.filter(notification__template=template)
