"""What the page shows that asks for approval: the same as was seen by whoever asked."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...approving import fingerprint
from ...models import Approval, Notification, SendLog, SendLogQuerySet
from ..parts.cards import log_card, waiting_card
from ..parts.explanations import holdups
from ..parts.left_out import LeftOut
from ..parts.people import shown_name, who
from ..permissions import may_see_openids

Status = SendLog.Status

CARDS = 3
NAMED = 10


class ApprovalReview:
    """A notification that is held, as ``request``'s user may see it. Changes nothing."""

    def __init__(self, notification: Notification, request: HttpRequest) -> None:
        self.notification = notification
        self.template = notification.template
        self.approval = Approval.objects.get(notification=notification)
        self.seen = fingerprint(notification)
        self._whole = may_see_openids(request)
        self._rows = SendLog.objects.filter(notification=notification)

    @cached_property
    def count(self) -> int:
        """How many messages would leave."""
        return self._rows.waiting().count()

    @cached_property
    def is_personal(self) -> bool:
        """Whether the messages differ."""
        return self._rows.waiting().filter(data__isnull=False).exists()

    @cached_property
    def cards(self) -> list[tuple[str, SafeString]]:
        """The card as it would leave now; if cards differ, those of the first few people."""
        if not self.is_personal:
            return [("", waiting_card(self.notification))]
        return [(self._name(log), log_card(log)) for log in self._first(CARDS)]

    @cached_property
    def people(self) -> list[SafeString]:
        """The first people who get it."""
        return [who(log, whole=self._whole) for log in self._first(NAMED)]

    @property
    def more_people(self) -> int:
        """How many are not named."""
        return self.count - len(self.people)

    @cached_property
    def left_out(self) -> list[LeftOut]:
        """Who does not get it, by reason."""
        skipped = self._rows.filter(status=Status.SKIPPED)
        reasons = skipped.order_by().values_list("errmsg").annotate(n=Count("pk"))
        return [
            LeftOut(_(reason) if reason else "-", count, self._named(skipped.filter(errmsg=reason)))
            for reason, count in sorted(reasons, key=lambda found: -found[1])
        ]

    @property
    def holdups(self) -> Iterator[str]:
        """What keeps the messages when they are approved."""
        return holdups(self.notification, but_approval=True)

    def _first(self, number: int) -> Any:
        rows = self._rows.waiting().select_related("user", "notification__template", "revision")
        return rows.order_by("pk")[:number]

    def _named(self, rows: SendLogQuerySet) -> list[SafeString]:
        found = rows.select_related("user").order_by("pk")[:NAMED]
        return [who(log, whole=self._whole) for log in found]

    def _name(self, log: SendLog) -> str:
        return shown_name(log.user) if log.user is not None else str(log)
