"""Who would get a message and who would not, asked of the database before anything is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from ..exceptions import Problem
from ..models import MessageTemplate, OpenIDBinding, OpenIDBindingQuerySet
from .content import own_data
from .placeholders import PersonalData
from .recipients import Target, targets

CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Audience:
    """Users, and openids beside them, whom a message on ``account`` is meant for.

    ``users`` is a plain QuerySet of users. ``openids`` go to just these openids, whether or not
    they are bound to a user.
    """

    account: str
    users: QuerySet[Any]
    openids: tuple[str, ...] = ()

    @property
    def recipients(self) -> Any:
        """What ``notify()`` takes: the QuerySet itself wherever it says everything."""
        if not self.openids:
            return self.users
        return chain(self.users.iterator(chunk_size=CHUNK), self.openids)

    @property
    def bindings(self) -> OpenIDBindingQuerySet:
        """Every binding that is meant, whether or not its person follows."""
        meant = Q(user__in=self.users.order_by().values("pk"))
        if self.openids:
            meant |= Q(openid__in=self.openids)
        return OpenIDBinding.objects.filter(meant, account=self.account)

    @property
    def not_following(self) -> OpenIDBindingQuerySet:
        """Bindings of people who are meant but do not follow the account."""
        return self.bindings.filter(subscribed=False)

    @property
    def unbound(self) -> QuerySet[Any]:
        """Users who have not bound WeChat on this account."""
        bound = OpenIDBinding.objects.filter(account=self.account, user=OuterRef("pk"))
        return self.users.filter(~Exists(bound))

    def count(self) -> int:
        """How many messages there would be."""
        strangers = set(self.openids)
        if strangers:
            known = OpenIDBinding.objects.filter(account=self.account, openid__in=self.openids)
            strangers -= set(known.values_list("openid", flat=True))
        return self.bindings.reachable().count() + len(strangers)

    def targets(self) -> Iterator[Target]:
        """Everybody who would get it, one at a time, in the order of sending."""
        found = targets(self.recipients, self.account)
        return (target for target in found if not target.reason)

    def somebody(self) -> Any:
        """A user who would get it, for a preview; None where there is none."""
        binding = self.bindings.reachable().select_related("user").order_by("user_id").first()
        return binding.user if binding is not None else None


def everyone(users: QuerySet[Any], account: str) -> QuerySet[Any]:
    """Those of ``users`` who have bound WeChat on ``account`` and follow it."""
    reachable = OpenIDBinding.objects.filter(account=account).reachable()
    return users.filter(Exists(reachable.filter(user=OuterRef("pk"))))


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of looking at each recipient's own values. ``people`` have something wrong."""

    looked_at: int
    complete: bool
    people: int
    problems: list[Problem]


def check_each(
    audience: Audience, template: MessageTemplate, data: PersonalData, *, most: int, listed: int
) -> Checked:
    """Look at the values of up to ``most`` recipients; list the problems of the first ``listed``.

    The rules are those of ``notify()``, which looks at all of them again before it writes.
    """
    looked_at = people = 0
    problems: list[Problem] = []
    for target in audience.targets():
        if looked_at == most:
            return Checked(looked_at, False, people, problems)
        looked_at += 1
        _wire, wrong = own_data(template, data.for_person, target)
        people += bool(wrong)
        if people <= listed:
            problems += wrong
    return Checked(looked_at, True, people, problems)
