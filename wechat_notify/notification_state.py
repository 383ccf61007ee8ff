"""What state a notification is in: one word for its page, its list and the list's filter."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .account_state import closed_ways, rest_of
from .conf import settings
from .models import MessageTemplate, Notification, SendLog
from .senders import is_unattended, late_rows


class State(TextChoices):
    """A notification is in the first of these states that is true of it."""

    CANCELLED = "cancelled", _("Cancelled")
    DONE = "done", _("Done")
    AWAITS_APPROVAL = "approval", _("Waiting for approval")
    PAUSED = "paused", _("Paused")
    WAITS_FOR_TEMPLATE = "template", _("Waiting for a template")
    SCHEDULED = "scheduled", _("Scheduled")
    AT_REST = "rest", pgettext_lazy("state of a notification", "Account at rest")
    OVERDUE = "overdue", _("Overdue")
    SENDING = "sending", _("Being sent")


@dataclass(frozen=True, slots=True)
class Situation:
    """What does not stand in a notification's row: the accounts that send nothing, and the time.

    ``at_rest``: nothing gets through to WeChat for them. ``unattended``: nobody sends for them.
    """

    at_rest: frozenset[str]
    unattended: frozenset[str]
    now: datetime

    @classmethod
    def of(cls, accounts: Iterable[str]) -> "Situation":
        """Reads the cache, and no row. An account that is no longer configured is left out."""
        known = set(accounts).intersection(settings.aliases)
        at_rest = frozenset(one for one in known if rest_of(one) or closed_ways(one))
        unattended = frozenset(one for one in known if is_unattended(one))
        return cls(at_rest, unattended, timezone.now())


def state_of(
    notification: Notification, situation: Situation, *, is_open: bool, is_late: bool
) -> State:
    """The state of one notification. Pure, but for its template and that one's stand-in.

    ``is_open``: it has messages that wait or are being sent. ``is_late``: some are ``late_rows()``.
    """
    template, send_at = notification.template, notification.send_at
    account = template.account
    is_true = {
        State.CANCELLED: notification.cancelled_at is not None,
        State.DONE: not is_open,
        State.AWAITS_APPROVAL: notification.held_at is not None,
        State.PAUSED: notification.paused_at is not None,
        State.WAITS_FOR_TEMPLATE: template.rests,
        State.SCHEDULED: send_at is not None and send_at > situation.now,
        State.AT_REST: account in situation.at_rest,
        State.OVERDUE: is_late and account in situation.unattended,
        State.SENDING: True,
    }
    return next(state for state in State if is_true[state])


def states_of(
    notifications: Collection[Notification], counts: Mapping[int, Mapping[str, int]]
) -> dict[int, State]:
    """The state of each notification. ``counts``: of each, its messages by status.

    Runs one query where an account is unattended, and none elsewhere, if the notifications were
    read with ``template__stand_in``.
    """
    still_open = {
        one.pk for one in notifications if any(counts.get(one.pk, {}).get(s) for s in SendLog.OPEN)
    }
    accounts = {one.template.account for one in notifications if one.pk in still_open}
    situation = Situation.of(accounts)
    late: set[int] = set()
    if situation.unattended:
        rows = late_rows().filter(notification__in=still_open).order_by()
        late = set(rows.values_list("notification_id", flat=True).distinct())
    return {
        one.pk: state_of(one, situation, is_open=one.pk in still_open, is_late=one.pk in late)
        for one in notifications
    }


def in_state(
    rows: QuerySet[Notification], state: State, situation: Situation
) -> QuerySet[Notification]:
    """Those of ``rows`` that are in this state. ``state_of()`` says the same of one of them."""
    if state is State.CANCELLED:
        return rows.filter(cancelled_at__isnull=False)
    rows = rows.filter(cancelled_at__isnull=True)
    is_open = Exists(_of_each(SendLog.objects.filter(status__in=SendLog.OPEN)))
    if state is State.DONE:
        return rows.filter(~is_open)
    rows = rows.filter(is_open)
    for one, condition in _conditions(situation).items():
        if one is state:
            return rows.filter(condition)
        rows = rows.exclude(condition)
    return rows


def _conditions(situation: Situation) -> dict[State, Q]:
    """What is true of an open notification in each state, in the order of ``State``."""
    resting = MessageTemplate.objects.resting().values("pk")
    is_late = Q(Exists(_of_each(late_rows())))
    return {
        State.AWAITS_APPROVAL: Q(held_at__isnull=False),
        State.PAUSED: Q(paused_at__isnull=False),
        State.WAITS_FOR_TEMPLATE: Q(template__in=resting),
        State.SCHEDULED: Q(send_at__gt=situation.now),
        State.AT_REST: Q(template__account__in=situation.at_rest),
        State.OVERDUE: Q(template__account__in=situation.unattended) & is_late,
    }


def _of_each(logs: QuerySet[SendLog]) -> QuerySet[SendLog]:
    return logs.filter(notification=OuterRef("pk"))
