"""People of an earlier notification as recipients: all of them, or those with one outcome."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Exists, OuterRef, Q, TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from ...models import Notification, SendLog, SendLogQuerySet
from ...statistics import Cause, of_cause
from ..parts.filters import NUMBER
from ..permissions import may_see_send_log, narrowed
from .choosable import People
from .narrowing import MISSED
from .pasted import allowed_openids

Status = SendLog.Status

_CAUSE = re.compile(r"(?P<status>[a-z]+):(?P<errcode>-?[0-9]{1,9}|):(?P<words>[^\0]*)", re.DOTALL)


class Outcome(TextChoices):
    """Whose messages of the notification are meant."""

    ALL = "all", pgettext_lazy("people of a notification", "everybody")
    MISSED = "missed", gettext_lazy("who surely did not get it")
    FAILED = "failed", gettext_lazy("whose message failed")
    CAUSE = "cause", gettext_lazy("with one cause")
    MESSAGE = "message", gettext_lazy("one message")
    WAITING = "waiting", gettext_lazy("whose message has not left yet")


AGAIN = (Outcome.MISSED, Outcome.FAILED, Outcome.CAUSE, Outcome.MESSAGE)
"""They get the message once more: each new row points to the one that it sends again."""


def cause_detail(cause: Cause) -> str:
    """``Earlier.detail`` for the messages of one cause."""
    code = "" if cause.errcode is None else cause.errcode
    return f"{cause.status}:{code}:{cause.words}"


@dataclass(frozen=True, slots=True)
class Earlier:
    """People of the notification with this number, as a form and saved recipients keep it.

    ``detail``: which cause (``cause_detail()``), or the key of the one message.
    """

    number: str
    outcome: str = Outcome.ALL
    detail: str = ""
    cancelled: SendLogQuerySet | None = field(default=None, compare=False, repr=False)
    """For ``WAITING``, while it is sent: the rows that were cancelled for it, and no others."""

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Earlier":
        """What ``as_json`` made."""
        return cls(kept["number"], kept["outcome"], kept["detail"])

    def as_json(self) -> dict[str, str]:
        """For a JSON column."""
        return {"number": self.number, "outcome": self.outcome, "detail": self.detail}

    def described(self) -> str:
        """The choice in a few words. It asks the database nothing."""
        known = self.outcome in Outcome.values
        outcome = str(Outcome(self.outcome).label) if known else "?"
        return _("People of #%(number)s: %(outcome)s") % {
            "number": self.number,
            "outcome": outcome,
        }

    def people(self, people: People) -> "EarlierPeople":
        """Who that is. Raises ``LookupError`` if there is no such notification or message, or this
        member of staff may not see it.
        """
        notification = self._notification(people)
        rows = SendLog.objects.filter(notification=notification)
        return EarlierPeople(self, people, notification, self._chosen(rows))

    def _notification(self, people: People) -> Notification:
        if not (NUMBER.fullmatch(self.number) and self.outcome in Outcome.values):
            raise LookupError(self.number)
        if not may_see_send_log(people.request):
            raise LookupError(self.number)
        notifications = visible_notifications(people).filter(pk=self.number)
        found: Notification | None = notifications.select_related("template", "revision").first()
        if found is None:
            raise LookupError(self.number)
        return found

    def _chosen(self, rows: SendLogQuerySet) -> SendLogQuerySet:
        """The messages with this outcome, sent again or not."""
        if self.outcome == Outcome.MISSED:
            return rows.filter(status__in=MISSED)
        if self.outcome == Outcome.FAILED:
            return rows.filter(status=Status.FAILED)
        if self.outcome == Outcome.CAUSE:
            return _rows_of_cause(rows, self.detail)
        if self.outcome == Outcome.MESSAGE:
            if not NUMBER.fullmatch(self.detail):
                raise LookupError(self.detail)
            return rows.filter(pk=self.detail)
        if self.outcome == Outcome.WAITING:
            return rows.not_left() if self.cancelled is None else self.cancelled
        return rows


def visible_notifications(people: People) -> Any:
    """The notifications whose pages this member of staff may see on this site."""
    site, request = people.site, people.request
    if not site.is_registered(Notification):
        return Notification.objects.none()
    if not site.get_model_admin(Notification).has_view_permission(request):
        return Notification.objects.none()
    return narrowed(site, request, Notification.objects.all(), "template__account")


def _rows_of_cause(rows: SendLogQuerySet, detail: str) -> SendLogQuerySet:
    found = _CAUSE.fullmatch(detail)
    if found is None or found["status"] not in Status.values:
        raise LookupError(detail)
    errcode = int(found["errcode"]) if found["errcode"] else None
    return of_cause(rows, found["status"], errcode, found["words"])


class EarlierPeople:
    """The messages that ``Earlier`` means, and their people as recipients of another message."""

    def __init__(
        self, choice: Earlier, people: People, notification: Notification, chosen: SendLogQuerySet
    ) -> None:
        self.notification = notification
        self.outcome = Outcome(choice.outcome)
        self._people = people
        self._chosen = chosen

    @property
    def logs(self) -> SendLogQuerySet:
        """The messages whose people are recipients: those that were sent again already are not.

        Unless all people are meant, or one message was chosen.
        """
        if self.outcome in (Outcome.ALL, Outcome.MESSAGE, Outcome.WAITING):
            return self._chosen
        return self._chosen.exclude(_was_sent_again())

    @property
    def sends_again(self) -> SendLogQuerySet | None:
        """The messages that new ones point to; None: it is a message of its own."""
        return self.logs if self.outcome in (*AGAIN, Outcome.WAITING) else None

    def condition(self, account: str) -> Q:
        """The condition on users, for a message on ``account``."""
        users = self.logs.filter(user__isnull=False)
        if account == self.notification.template.account:
            users = users.exclude(user__in=self._on_some_openids().values("user"))
        return Q(pk__in=users.order_by().values("user"))

    def openids(self, account: str) -> list[str]:
        """The openids on ``account`` that are meant and not their users: there is none, or the
        user has other openids, on which the message had another outcome.
        """
        if account != self.notification.template.account:
            return []
        without_user = self.logs.filter(user__isnull=True)
        rows = (without_user, self._on_some_openids())
        found = [openid for one in rows for openid in one.values_list("openid", flat=True)]
        return list(dict.fromkeys(filter(None, found)))

    def _on_some_openids(self) -> SendLogQuerySet:
        """Messages to users of whom other messages of the notification are not meant."""
        if self.outcome is Outcome.ALL:
            return self.logs.none()
        others = SendLog.objects.filter(
            notification=self.notification, user=OuterRef("user")
        ).exclude(pk__in=self.logs.order_by().values("pk"))
        return self.logs.filter(Exists(others), user__isnull=False).order_by("pk")

    @cached_property
    def count(self) -> int:
        """How many messages."""
        return self.logs.count()

    def out_of_reach(self, account: str) -> int:
        """How many of them are for people whom a message of this user on ``account`` cannot be for:
        they are hidden from this user, or known by an openid of another account alone.
        """
        visible = self._people.all()
        named = self.logs.filter(user__isnull=False)
        hidden = named.exclude(user__in=visible.values("pk")).count()
        openids = set(self.logs.filter(user__isnull=True).values_list("openid", flat=True))
        if account == self.notification.template.account:
            openids -= allowed_openids(openids, visible, account)
        return hidden + len(openids)

    def notes(self) -> Iterator[str]:
        """What somebody should know who writes to these people, in a few words each."""
        if doubtful := self.logs.filter(status=Status.UNCERTAIN).count():
            yield ngettext(
                "%d of them is uncertain: that person may have got it already.",
                "%d of them are uncertain: these people may have got it already.",
                doubtful,
            ) % (doubtful,)
        if again := self._chosen.filter(_was_sent_again()).count():
            yield self._about_sent_again() % (again,)

    def _about_sent_again(self) -> str:
        if self.outcome in (Outcome.ALL, Outcome.MESSAGE):
            return _("%d was sent again already.")
        return _("%d more were sent again already, and are left out.")

    def title(self) -> str:
        """Whose people these are, for the form and the review."""
        names = {"notification": self.notification, "outcome": self.outcome.label}
        if self.outcome is Outcome.WAITING:
            return _("Instead of what has not left yet of “%(notification)s”") % names
        return _("People of “%(notification)s”: %(outcome)s") % names


def count_missed(number: int) -> int:
    """How many messages ``Outcome.MISSED`` means of the notification with this number."""
    missed = SendLog.objects.filter(notification=number, status__in=MISSED)
    return missed.exclude(_was_sent_again()).count()


def _was_sent_again() -> Exists:
    return Exists(SendLog.objects.filter(resend_of=OuterRef("pk")))
