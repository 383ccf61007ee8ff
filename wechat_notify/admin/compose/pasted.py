"""Recipients pasted from a list: user names, people's names and openids, in any mixture."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from ...delivery.recipients import SHORTEST_OPENID, is_openid
from ...models import OpenIDBinding
from .people import with_full_names

MOST_PASTED = 5_000

_SEPARATORS = re.compile(r"[\r\n\t,;，；、]+")


@dataclass(slots=True)
class Pasted:
    """What a pasted list means. ``unknown`` and ``ambiguous`` keep it from being used."""

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

    An entry is a user name, a whole openid, or the full name of one person only. An openid that
    is bound to nobody is taken as it stands; one that is bound to a user outside ``users`` is
    unknown. What means nothing is looked at again word by word.
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
    """Take what can be found into ``result``; what cannot comes back."""
    left = _take_usernames(list(entries), users, result)
    left = _take_openids(left, users, account, result)
    return _take_full_names(left, users, result)


def _take_usernames(entries: list[str], users: QuerySet[Any], result: Pasted) -> list[str]:
    found = _by_username(entries, users)
    result.users.update(found.values())
    left = [entry for entry in entries if entry not in found]
    # MariaDB and MySQL find a user name in whatever case. Elsewhere it is another person's.
    same = {username.casefold() for username in _by_username(left, users)}
    return [entry for entry in left if entry.casefold() not in same]


def _by_username(entries: list[str], users: QuerySet[Any]) -> dict[str, Any]:
    name = get_user_model().USERNAME_FIELD
    return dict(users.filter(**{f"{name}__in": entries}).values_list(name, "pk"))


def allowed_openids(openids: Iterable[str], users: QuerySet[Any], account: str) -> set[str]:
    """Those that may be written to: bound to one of ``users``, or to nobody at all."""
    asked = set(openids)
    bound = OpenIDBinding.objects.filter(account=account, openid__in=asked)
    hidden = bound.exclude(user__in=users.values("pk"))
    return asked - set(hidden.values_list("openid", flat=True)) if asked else asked


def _take_openids(
    entries: list[str], users: QuerySet[Any], account: str, result: Pasted
) -> list[str]:
    like_openids = [entry for entry in entries if is_openid(entry)]
    known = OpenIDBinding.objects.filter(account=account, openid__in=like_openids)
    bound = set(known.values_list("openid", flat=True))
    allowed = allowed_openids(like_openids, users, account)
    left = []
    for entry in entries:
        # A short word is a name that nobody has, unless it is known to be an openid.
        if entry in allowed and (entry in bound or len(entry) >= SHORTEST_OPENID):
            result.openids.append(entry)
        else:
            left.append(entry)
    return left


def _take_full_names(entries: list[str], users: QuerySet[Any], result: Pasted) -> list[str]:
    named = with_full_names(users).filter(Q(chinese_name__in=entries) | Q(western_name__in=entries))
    owners = defaultdict(set)
    for pk, *names in named.values_list("pk", "chinese_name", "western_name"):
        for name in set(names) & set(entries):
            owners[name].add(pk)
    result.ambiguous += [name for name in entries if len(owners[name]) > 1]
    result.users.update(*(pks for pks in owners.values() if len(pks) == 1))
    return [entry for entry in entries if not owners[entry]]
