"""What ``notify()`` and ``resend()`` would do with their arguments. Nothing is written."""

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from .exceptions import Problem
from .models import (
    MessageTemplate,
    Notification,
    OpenIDBinding,
    OpenIDBindingQuerySet,
    SendLog,
    SendLogQuerySet,
)
from .writing.by_number import priority_by_number
from .writing.content import (
    destination,
    has_host,
    link_problems,
    own_data,
    whole_url,
    with_scheme,
)
from .writing.recipients import NOT_BOUND, NOT_FOLLOWING, OTHER_ACCOUNT, Target, targets
from .writing.written_again import checked_again

__all__ = [
    "NOT_BOUND",
    "NOT_FOLLOWING",
    "OTHER_ACCOUNT",
    "ResendDryRun",
    "Target",
    "data_problems",
    "destination",
    "has_host",
    "link_problems",
    "priority_for",
    "reached",
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

    All of ``logs`` are final. The database counts; the data of up to ``most`` rows is checked.
    """

    def __init__(self, logs: SendLogQuerySet, *, most: int) -> None:
        self._logs = logs.order_by()
        self._most = most

    @property
    def reached(self) -> SendLogQuerySet:
        """Rows whose person can be reached now, whatever their data."""
        has_openid = Q(binding__isnull=True) & ~Q(openid="")
        bound = Q(binding__account=F("account"), binding__subscribed=True)
        return self._logs.filter(bound | has_openid | self._by_user(subscribed=True))

    @property
    def not_following(self) -> SendLogQuerySet:
        """Rows of people who do not follow the account, on one of their openids or on all."""
        bound = Q(binding__account=F("account"), binding__subscribed=False)
        return self._logs.filter(bound | self._by_user(subscribed=False))

    @property
    def not_bound(self) -> SendLogQuerySet:
        """Rows without an openid whose user has not bound WeChat since."""
        without = self._logs.filter(binding__isnull=True, openid="")
        return without.exclude(Exists(self._bindings()))

    @property
    def other_account(self) -> SendLogQuerySet:
        """Rows whose openid belongs to another account."""
        return self._logs.filter(binding__isnull=False).exclude(binding__account=F("account"))

    def messages(self, rows: SendLogQuerySet, *, subscribed: bool) -> int:
        """How many messages ``rows`` become, of openids that are ``subscribed`` or not.

        A row without an openid becomes one for each openid of its user.
        """
        without = rows.filter(binding__isnull=True, openid="")
        joined = without.filter(
            user__wechat_bindings__account=F("account"),
            user__wechat_bindings__subscribed=subscribed,
        )
        return rows.exclude(pk__in=without.values("pk")).count() + joined.count()

    @cached_property
    def refused(self) -> list[tuple[SendLog, str]]:
        """Rows of ``reached`` whose data would be refused, with the reason."""
        found = islice(checked_again(self.reached), self._most)
        return [(log, reason) for log, reason in found if reason]

    def _by_user(self, *, subscribed: bool) -> Q:
        found = self._bindings().filter(subscribed=subscribed)
        return Q(Exists(found), binding__isnull=True, openid="")

    @staticmethod
    def _bindings() -> OpenIDBindingQuerySet:
        return OpenIDBinding.objects.filter(account=OuterRef("account"), user=OuterRef("user"))
