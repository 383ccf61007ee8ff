"""To whom, as it was chosen: what a form says, and what is kept under a name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...delivery.audience import Audience, everyone
from .lists import Selection
from .pasted import allowed_openids
from .people import People


@dataclass(frozen=True, slots=True)
class Criteria:
    """Everyone, groups, single people, openids and rows of another list, all added up.

    Groups and users are primary keys as text: what a form sends, and JSON keeps of any key.
    """

    everyone: bool = False
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    openids: tuple[str, ...] = ()
    selection: Selection | None = None

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Criteria":
        """What ``as_json`` made."""
        rows = kept.get("list")
        return cls(
            everyone=bool(kept.get("everyone")),
            **{name: tuple(kept.get(name) or ()) for name in ("groups", "users", "openids")},
            selection=Selection(rows["label"], rows["query"], tuple(rows["ids"])) if rows else None,
        )

    def __bool__(self) -> bool:
        """Whether anything was chosen."""
        return self != Criteria()

    def as_json(self) -> dict[str, Any]:
        """For a column; nothing stands in it that was not chosen."""
        kept: dict[str, Any] = {"everyone": True} if self.everyone else {}
        for name in ("groups", "users", "openids"):
            if chosen := getattr(self, name):
                kept[name] = list(chosen)
        if rows := self.selection:
            kept["list"] = {"label": rows.label, "query": rows.query, "ids": list(rows.ids)}
        return kept

    def summary(self) -> Iterator[str]:
        """What was chosen, in a few words each; whom it means is for the database to say."""
        if self.everyone:
            yield _("Everyone who has bound WeChat")
        if count := len(self.groups):
            yield ngettext("%d group", "%d groups", count) % count
        if count := len(self.users):
            yield ngettext("%d person", "%d people", count) % count
        if count := len(self.openids):
            yield ngettext("%d openid", "%d openids", count) % count
        if self.selection is not None:
            yield self.selection.described()

    def conditions(self, people: People, account: str) -> Iterator[Q]:
        """What makes a user one of those who are meant. Raises ``LookupError`` as ``audience``."""
        chosen: list[QuerySet[Any]] = []
        if self.users:
            yield Q(pk__in=self.users)
        if self.everyone:
            chosen.append(everyone(people.all(), account))
        if self.groups:
            chosen.append(people.all().filter(groups__in=self.groups))
        if self.selection is not None:
            chosen.append(self.selection.users(people.site, people.request))
        yield from (Q(pk__in=users.values("pk")) for users in chosen)


def audience(account: str, people: People, chosen: Iterable[Criteria]) -> Audience:
    """Whom all these mean together, and nobody whom ``people`` does not hold.

    Raises ``LookupError`` where a list that people were chosen on cannot be read.
    """
    several = list(chosen)
    conditions = [found for one in several for found in one.conditions(people, account)]
    users = people.all().filter(reduce(or_, conditions)) if conditions else people.all().none()
    openids = dict.fromkeys(openid for one in several for openid in one.openids)
    allowed = allowed_openids(openids, people.all(), account)
    return Audience(account, users, tuple(openid for openid in openids if openid in allowed))
