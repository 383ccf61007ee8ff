"""Recipients pasted from a list: user names, people's names and openids, in any mixture."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from ...models import OpenIDBinding
from ...wechat.openids import SHORTEST_OPENID, is_openid
from ..parts.people import FULL_NAMES, with_full_names, without_blanks

MOST_PASTED = 5_000

_SEPARATORS = re.compile(r"[\r\n\t,;，；、]+")


@dataclass(slots=True)
class Pasted:
    """Whom a pasted list means. With ``unknown`` or ``ambiguous`` entries it cannot be used."""

    users: set[Any] = field(default_factory=set)
    openids: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)


def split(text: str) -> list[str]:
    """The entries of a pasted list, each once, in order."""
    entries = (entry.strip() for entry in _SEPARATORS.split(text))
    return list(dict.fromkeys(entry for entry in entries if entry))


def understand(entries: Iterable[str], users: QuerySet[Any], account: str) -> Pasted:
    """Whom ``entries`` mean among ``users``, the only ones who may be written to.

    An entry is a user name, a whole openid, or a full name that only one person has. An openid
    that is bound to no user is used as it is; one that is bound to a user outside ``users`` is
    unknown. An entry that is not found is searched again word by word.
    """
    result = Pasted()
    left = _look_up(entries, users, account, result)
    words = [word for entry in left for word in entry.split() if len(entry.split()) > 1]
    result.unknown += [entry for entry in left if len(entry.split()) == 1]
    result.unknown += _look_up(dict.fromkeys(words), users, account, result)
    return result


def _look_up(
    entries: Iterable[str], users: QuerySet[Any], account: str, result: Pasted
) -> list[str]:
    """Add what is found to ``result``; return the entries that are not."""
    left = _take_usernames(list(entries), users, result)
    left = _take_openids(left, users, account, result)
    return _take_full_names(left, users, result)


def _take_usernames(entries: list[str], users: QuerySet[Any], result: Pasted) -> list[str]:
    found = _by_username(entries, users)
    result.users.update(found.values())
    left = [entry for entry in entries if entry not in found]
    # MariaDB and MySQL match a user name in any case; other databases have a person for each.
    same = {username.casefold() for username in _by_username(left, users)}
    return [entry for entry in left if entry.casefold() not in same]


def _by_username(entries: list[str], users: QuerySet[Any]) -> dict[str, Any]:
    name = get_user_model().USERNAME_FIELD
    return dict(users.filter(**{f"{name}__in": entries}).values_list(name, "pk"))


def allowed_openids(openids: Iterable[str], users: QuerySet[Any], account: str) -> set[str]:
    """The openids that may be written to: bound to one of ``users``, or to no user."""
    asked = set(openids)
    bound = OpenIDBinding.objects.filter(account=account, openid__in=asked)
    hidden = bound.exclude(user__in=users.values("pk"))
    return asked - set(hidden.values_list("openid", flat=True)) if asked else asked


def usable_openids(entries: Iterable[str], users: QuerySet[Any], account: str) -> set[str]:
    """Those of ``entries`` that are openids, and may be written to.

    A short word is an unknown name, unless a binding has it as its openid.
    """
    like_openids = [entry for entry in entries if is_openid(entry)]
    known = OpenIDBinding.objects.filter(account=account, openid__in=like_openids)
    bound = set(known.values_list("openid", flat=True))
    allowed = allowed_openids(like_openids, users, account)
    return {entry for entry in allowed if entry in bound or len(entry) >= SHORTEST_OPENID}


def _take_openids(
    entries: list[str], users: QuerySet[Any], account: str, result: Pasted
) -> list[str]:
    usable = usable_openids(entries, users, account)
    result.openids += [entry for entry in entries if entry in usable]
    return [entry for entry in entries if entry not in usable]


def _take_full_names(entries: list[str], users: QuerySet[Any], result: Pasted) -> list[str]:
    owners = owners_of_full_names(entries, users)
    result.ambiguous += [name for name in entries if len(owners[name]) > 1]
    result.users.update(*(pks for pks in owners.values() if len(pks) == 1))
    return [entry for entry in entries if not owners[entry]]


def owners_of_full_names(names: Iterable[str], users: QuerySet[Any]) -> dict[str, set[Any]]:
    """The keys of the ``users`` who have each of these full names, however its blanks are."""
    wanted = {without_blanks(name): name for name in names}
    either = (Q((f"{name}__in", list(wanted))) for name in FULL_NAMES)
    found = with_full_names(users).filter(reduce(or_, either))
    owners: defaultdict[str, set[Any]] = defaultdict(set)
    for pk, *own in found.values_list("pk", *FULL_NAMES):
        for name in set(own) & wanted.keys():
            owners[name].add(pk)
    return defaultdict(set, {name: owners[without_blanks(name)] for name in names})
