"""Who would get a message and who would not, before anything is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from ...dry_run import Target, data_problems, reached
from ...exceptions import Problem
from ...models import MessageTemplate, OpenIDBinding, OpenIDBindingQuerySet, pages_by_key
from ...placeholders import PersonalData

CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class Audience:
    """The users and openids that a message on ``account`` is meant for.

    ``users`` is a plain QuerySet of users. ``openids`` need not be bound to a user.
    """

    account: str
    users: QuerySet[Any]
    openids: tuple[str, ...] = ()

    @property
    def recipients(self) -> Any:
        """For ``notify()``: the QuerySet itself if there are no openids beside it."""
        if not self.openids:
            return self.users
        users = chain.from_iterable(pages_by_key(self.users, CHUNK))
        return chain(users, self.openids)

    @property
    def bindings(self) -> OpenIDBindingQuerySet:
        """All bindings that are meant, of people who do not follow too."""
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
        unknown = set(self.openids)
        if unknown:
            known = OpenIDBinding.objects.filter(account=self.account, openid__in=self.openids)
            unknown -= set(known.values_list("openid", flat=True))
        return self.bindings.reachable().count() + len(unknown)

    def targets(self) -> Iterator[Target]:
        """All recipients who would get it, one at a time, in the order of sending."""
        return reached(self.recipients, self.account)

    def first_user(self) -> Any:
        """A user who would get it, for a preview; None if there is none."""
        binding = self.bindings.reachable().select_related("user").order_by("user_id").first()
        return binding.user if binding is not None else None


def everyone(users: QuerySet[Any], account: str) -> QuerySet[Any]:
    """Those of ``users`` who have bound WeChat on ``account`` and follow it."""
    reachable = OpenIDBinding.objects.filter(account=account).reachable()
    return users.filter(Exists(reachable.filter(user=OuterRef("pk"))))


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of ``check_each``: ``people`` of ``looked_at`` have a value that is wrong."""

    looked_at: int
    complete: bool
    people: int
    problems: list[Problem]


def check_each(
    audience: Audience,
    template: MessageTemplate,
    data: PersonalData,
    *,
    most: int,
    listed: int,
    label: Callable[[Target], str],
) -> Checked:
    """Check the values of up to ``most`` recipients; list the problems of the first ``listed``.

    Each problem names its recipient by ``label``. ``notify()`` checks all of them again, by the
    same rules, before it writes.
    """
    looked_at = people = 0
    problems: list[Problem] = []
    for target in audience.targets():
        if looked_at == most:
            return Checked(looked_at, False, people, problems)
        looked_at += 1
        wrong = data_problems(template, data.for_person, target)
        people += bool(wrong)
        if wrong and people <= listed:
            problems += [replace(problem, recipient=label(target)) for problem in wrong]
    return Checked(looked_at, True, people, problems)
