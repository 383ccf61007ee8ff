"""The choice of recipients, as a form makes it and as saved recipients keep it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...models import MessageTemplate
from .audience import Audience, everyone
from .choosable import People
from .earlier import Earlier
from .list_selection import Selection
from .narrowing import EVERYBODY, Narrowing
from .pasted import allowed_openids

LISTS = ("groups", "segments", "users", "openids")
NOBODY = Q(pk__in=())


@dataclass(frozen=True, slots=True)
class Criteria:
    """Everyone, groups, segments, single people, openids, rows of another list and people of an
    earlier notification, all together.

    Groups and users are primary keys as text: what a form sends, and JSON keeps of any key.
    Segments are the site's own, by name. ``in_all``: only who is in every one of the groups and
    segments. ``narrowing`` leaves only some of all these people.
    """

    everyone: bool = False
    groups: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    in_all: bool = False
    users: tuple[str, ...] = ()
    openids: tuple[str, ...] = ()
    selection: Selection | None = None
    earlier: Earlier | None = None
    narrowing: Narrowing = EVERYBODY

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Criteria":
        """What ``as_json`` made."""
        rows, earlier = kept.get("list"), kept.get("earlier")
        return cls(
            everyone=bool(kept.get("everyone")),
            **{name: tuple(kept.get(name) or ()) for name in LISTS},
            in_all=bool(kept.get("in_all")),
            selection=Selection(rows["label"], rows["query"], tuple(rows["ids"])) if rows else None,
            earlier=Earlier.from_json(earlier) if earlier else None,
            narrowing=Narrowing.from_json(kept),
        )

    def __bool__(self) -> bool:
        """Whether anybody was chosen."""
        return replace(self, in_all=False, narrowing=EVERYBODY) != Criteria()

    def as_json(self) -> dict[str, Any]:
        """For a JSON column, without what was not chosen."""
        kept: dict[str, Any] = {"everyone": True} if self.everyone else {}
        for name in LISTS:
            if chosen := getattr(self, name):
                kept[name] = list(chosen)
        if self.in_all:
            kept["in_all"] = True
        if rows := self.selection:
            kept["list"] = {"label": rows.label, "query": rows.query, "ids": list(rows.ids)}
        if self.earlier is not None:
            kept["earlier"] = self.earlier.as_json()
        return kept | self.narrowing.as_json()

    def summary(self) -> Iterator[str]:
        """What was chosen, in a few words each. It asks the database nothing."""
        if self.everyone:
            yield _("Everyone who has bound WeChat")
        if count := len(self.groups):
            yield ngettext("%d group", "%d groups", count) % count
        if count := len(self.segments):
            yield ngettext("%d segment", "%d segments", count) % count
        if self.in_all:
            yield _("Only who is in all of them")
        if count := len(self.users):
            yield ngettext("%d person", "%d people", count) % count
        if count := len(self.openids):
            yield ngettext("%d openid", "%d openids", count) % count
        if self.selection is not None:
            yield self.selection.described()
        if self.earlier is not None:
            yield self.earlier.described()
        yield from self.narrowing.summary()

    def conditions(self, people: People, account: str) -> Iterator[Q]:
        """Conditions, any of which chooses a user. Raises ``LookupError`` like ``audience``."""
        chosen: list[QuerySet[Any]] = []
        if self.users:
            yield Q(pk__in=self.users)
        if self.everyone:
            chosen.append(everyone(people.all(), account))
        if self.selection is not None:
            chosen.append(self.selection.users(people.site, people.request))
        yield from (Q(pk__in=users.values("pk")) for users in chosen)
        if self.earlier is not None:
            yield self.earlier.people(people).condition(account)
        together = [*self._together(people)]
        yield from [reduce(and_, together)] if together and self.in_all else together

    def all_openids(self, people: People, account: str) -> list[str]:
        """The openids, those of the earlier notification too. Raises ``LookupError``."""
        earlier = self.earlier.people(people).openids(account) if self.earlier is not None else []
        return list(dict.fromkeys([*self.openids, *earlier]))

    def _together(self, people: People) -> Iterator[Q]:
        """A condition for each group and segment."""
        for group in self.groups:
            yield Q(pk__in=people.all().filter(groups=group).values("pk"))
        for name in self.segments:
            # A KeyError is a LookupError: the site does not offer it any more.
            yield Q(pk__in=people.segments[name].users.order_by().values("pk"))


def audience(
    account: str,
    people: People,
    chosen: Iterable[Criteria],
    *,
    template: MessageTemplate | None = None,
    narrowing: Narrowing = EVERYBODY,
) -> Audience:
    """All recipients that were ``chosen``, as far as ``people`` has them.

    ``narrowing`` applies to all of them, beside what each of the ``chosen`` has. ``template``: the
    one that is composed with. Raises ``LookupError`` if a list that people were chosen on cannot
    be read, a segment is not offered any more, or an earlier notification is gone.
    """
    several = list(chosen)
    conditions = [_condition(one, people, account, template) for one in several]
    met = narrowing.users(account, template)
    users = people.offered.related(people.all().filter(reduce(or_, conditions, NOBODY) & met))
    openids: dict[str, None] = {}
    for one in several:
        listed = one.narrowing.openids(one.all_openids(people, account), account, template)
        openids |= dict.fromkeys(listed)
    left = narrowing.openids(list(openids), account, template)
    allowed = allowed_openids(left, people.all(), account)
    return Audience(account, users, tuple(openid for openid in left if openid in allowed))


def _condition(
    criteria: Criteria, people: People, account: str, template: MessageTemplate | None
) -> Q:
    """The condition of a user whom these criteria choose."""
    found = [*criteria.conditions(people, account)]
    if not found:
        return NOBODY
    return reduce(or_, found) & criteria.narrowing.users(account, template)
