"""What ``notify()`` and ``resend()`` would do with their arguments. Nothing is written."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from django.db.models import Count, F, OuterRef, Q

from .exceptions import Problem
from .models import MessageTemplate, Notification, SendLogQuerySet
from .reach import REACHED, Reach, with_reach, written_beside
from .writing.active_template import template_again
from .writing.by_number import priority_by_number
from .writing.content import (
    destination,
    has_host,
    link_problems,
    own_data,
    whole_url,
    with_scheme,
)
from .writing.recipients import (
    NOT_BOUND,
    NOT_FOLLOWING,
    OTHER_ACCOUNT,
    UNBOUND,
    Target,
    targets,
)
from .writing.written_again import checked_again, checked_shared

__all__ = [
    "NOT_BOUND",
    "NOT_FOLLOWING",
    "OTHER_ACCOUNT",
    "UNBOUND",
    "ResendDryRun",
    "Target",
    "data_problems",
    "destination",
    "has_host",
    "link_problems",
    "priority_for",
    "reached",
    "template_again",
    "whole_url",
    "with_scheme",
]


def reached(users: Any, account: str) -> Iterator[Target]:
    """Each openid that would get a message, in the order of sending. ``users`` as for ``notify()``.

    Reads in chunks. People who have not bound or do not follow the account are left out.
    """
    return (target for target in targets(users, account) if not target.reason)


def priority_for(users: Any) -> Notification.Priority:
    """The priority of a message to ``users`` for which none is given. Reads no iterator."""
    return priority_by_number(users)[0]


def data_problems(
    template: MessageTemplate, data: Callable[[Any], Any], target: Target
) -> list[Problem]:
    """What is wrong with the data that ``data`` returns for this recipient."""
    _wire, problems = own_data(template, data, target)
    return problems


class ResendDryRun:
    """Which of ``logs`` would reach somebody if ``resend()`` sent them again, and which not, why.

    All of ``logs`` are final. The database counts them, in one pass over them. The data of up to
    ``most`` rows with data of their own is checked, and what all share of up to ``most``
    notifications.
    """

    def __init__(self, logs: SendLogQuerySet, *, most: int) -> None:
        self._logs = with_reach(logs.order_by())
        self._most = most

    @cached_property
    def counts(self) -> dict[Reach, int]:
        """How many rows there are of each kind, whatever their data; those there are none of are
        missing."""
        return _by_reach(self._logs)

    @cached_property
    def reached(self) -> SendLogQuerySet:
        """Rows whose person can be reached now, and whose data is good."""
        found = self._in_reach
        for _reason, rows in self.refused:
            found = found.exclude(pk__in=rows.values("pk"))
        return found

    def among(self, *reaches: Reach) -> SendLogQuerySet:
        """Rows of these kinds."""
        return self._logs.filter(Q(reach__in=reaches))

    @cached_property
    def again(self) -> int:
        """How many messages there would be: one for each openid of a user without an openid."""
        counts = _by_reach(self.reached) if self.refused else self.counts
        own = counts.get(Reach.BOUND, 0) + counts.get(Reach.OPENID, 0)
        since = counts.get(Reach.BOUND_SINCE, 0)
        return own + (_openids(self.reached, subscribed=True) if since else 0)

    @cached_property
    def not_following(self) -> int:
        """How many openids would be skipped because their people do not follow."""
        counts = self.counts
        since = counts.get(Reach.BOUND_SINCE, 0) + counts.get(Reach.BOUND_UNFOLLOWED, 0)
        openids = _openids(self._logs, subscribed=False) if since else 0
        return counts.get(Reach.UNFOLLOWED, 0) + openids

    @property
    def on_unfollowed(self) -> SendLogQuerySet:
        """The rows behind ``not_following``."""
        since = _of_users(self._logs, subscribed=False)
        return self._logs.filter(Q(reach=Reach.UNFOLLOWED) | Q(pk__in=since.values("pk")))

    @property
    def _in_reach(self) -> SendLogQuerySet:
        """Whatever their data."""
        return self._logs.filter(Q(reach__in=REACHED))

    @cached_property
    def is_partial(self) -> bool:
        """Whether there is more data than was looked at."""
        return self._own_data.is_partial or self._shared_data.is_partial

    @cached_property
    def refused(self) -> list[tuple[str, SendLogQuerySet]]:
        """Reasons why data would be refused, and the rows of people in reach that have them."""
        reached = self._in_reach
        shared = reached.filter(data__isnull=True)
        return [
            *((why, shared.filter(notification__in=n)) for why, n in self._shared_data.refused),
            *((why, reached.filter(pk__in=pks)) for why, pks in self._own_data.refused),
        ]

    @cached_property
    def _own_data(self) -> "_Checked":
        """Row by row."""
        rows = self._in_reach.filter(data__isnull=False)
        found = ((log.pk, reason) for log, reason in checked_again(rows))
        return _Checked(found, self._most)

    @cached_property
    def _shared_data(self) -> "_Checked":
        """Once for each notification, which may have very many rows without data of their own."""
        logs = self._logs.filter(data__isnull=True)
        ids = logs.values_list("notification_id", flat=True).distinct().order_by("notification_id")
        first = list(ids[: self._most + 1])
        return _Checked(checked_shared(first), self._most)


class _Checked:
    """The first ``most`` of ``found``, primary keys with the reason why not or "", by reason."""

    def __init__(self, found: Iterable[tuple[int, str]], most: int) -> None:
        looked_at = list(islice(found, most + 1))
        self.is_partial = len(looked_at) > most
        by_reason: dict[str, list[int]] = {}
        for pk, reason in looked_at[:most]:
            if reason:
                by_reason.setdefault(reason, []).append(pk)
        self.refused = list(by_reason.items())


def _by_reach(rows: SendLogQuerySet) -> dict[Reach, int]:
    every: Any = rows
    counted = every.values_list("reach").annotate(n=Count("pk"))
    return {Reach(reach): n for reach, n in counted}


def _of_users(rows: SendLogQuerySet, *, subscribed: bool) -> SendLogQuerySet:
    """Rows that go to what their users have bound since, once for each such openid."""
    return rows.filter(
        ~written_beside(OuterRef("notification"), OuterRef("pk"), "user__wechat_bindings__openid"),
        Q(reach__in=(Reach.BOUND_SINCE, Reach.BOUND_UNFOLLOWED)),
        user__wechat_bindings__account=F("account"),
        user__wechat_bindings__subscribed=subscribed,
    )


def _openids(rows: SendLogQuerySet, *, subscribed: bool) -> int:
    return _of_users(rows, subscribed=subscribed).count()
