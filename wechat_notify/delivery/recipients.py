"""Who gets it: from what callers hand to ``notify()`` to one target per openid."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_noop

from ..exceptions import InvalidData, Problem
from ..models import OPENID_LENGTH, OpenIDBinding, SendLog
from ..wechat.masking import mask_openid

CHUNK = 2_000

# Stored as written here and translated when shown, so that a log reads well in every language.
NOT_BOUND = gettext_noop("This user has not bound WeChat.")
NOT_FOLLOWING = gettext_noop("This person does not follow the account.")
OTHER_ACCOUNT = gettext_noop("This openid belongs to another account.")
NO_DATA = gettext_noop("What this message was to say was never written down.")

# Openids have 28 characters in every sample seen; a shorter text is shown as it is.
SHORTEST_OPENID = 20

# The platform publishes no format; letters, digits, "_" and "-" are what every sample has.
_OPENID = re.compile(rf"[A-Za-z0-9_-]{{1,{OPENID_LENGTH}}}")

Recipient: TypeAlias = Any
"""A user, an OpenIDBinding or an openid string."""


@dataclass(frozen=True, slots=True)
class Target:
    """One row to be: an openid with whom it belongs to, or the reason why there is none."""

    openid: str = ""
    user: Any = None
    binding: OpenIDBinding | None = None
    reason: str = ""

    @property
    def person(self) -> Any:
        """What a per-recipient function gets: the user, or the openid where there is none."""
        return self.user if self.user is not None else self.openid

    @property
    def label(self) -> str:
        """How a problem names this recipient to the caller. Never a whole openid."""
        return str(self.user) if self.user is not None else mask_openid(self.openid)


def is_openid(value: object) -> bool:
    """Whether this can be an openid, by its characters and length."""
    return isinstance(value, str) and _OPENID.fullmatch(value) is not None


def is_queryset_of(users: Any, model: type[Model]) -> bool:
    return isinstance(users, QuerySet) and issubclass(users.model, model)


def can_be_subquery(queryset: QuerySet[Any], using: str) -> bool:
    """Whether the database can turn this QuerySet into rows by itself.

    Another database's rows are out of reach, and see ``_is_plain``.
    """
    return _is_plain(queryset) and queryset.db == using


def _is_plain(queryset: QuerySet[Any]) -> bool:
    """Of objects, and neither sliced (MariaDB takes no LIMIT in a subquery) nor a union, nor
    DISTINCT ON.

    What ``values_list("openid", flat=True)`` yields has no key: it is an openid like any other.
    """
    query = queryset.query
    of_objects = queryset._fields is None  # type: ignore[attr-defined]
    return of_objects and not (query.is_sliced or query.combinator or query.distinct_fields)


def targets(users: Any, account: str) -> Iterator[Target]:
    """One target for each openid of each recipient, an openid named twice only once.

    Users without a binding, people who unfollowed and openids of other accounts come with a
    reason instead of being left out. Reads in chunks. Memory stays flat for a plain QuerySet;
    for anything else it holds the openids seen.
    """
    in_order = isinstance(users, QuerySet) and _is_plain(users)
    seen: set[Any] = set()
    for chunk in _by_key(users) if in_order else _chunks(_each(users)):
        if in_order:
            seen.clear()  # the key only grows: nothing seen before can come again
        for target in _resolve(chunk, account):
            mark = _mark(target)
            if mark not in seen:
                seen.add(mark)
                yield target


def _mark(target: Target) -> tuple[Any, bool]:
    """What two targets have in common that would be the same row.

    Two aliases may stand for one account of WeChat: the binding on the other alias, which is only
    reported, must not stand in the way of the one that is written to.
    """
    whom = target.openid or ("user", target.user.pk)
    return whom, target.reason == OTHER_ACCOUNT


def targets_again(logs: QuerySet[SendLog], account: str) -> Iterator[tuple[SendLog, Target]]:
    """The targets of rows that are sent again.

    Each goes to the openid it had; one that had none to whatever its user has bound since.
    """
    rows = logs.select_related("user", "binding")
    for chunk in _chunks(rows.iterator(chunk_size=CHUNK)):
        unbound = [log.user for log in chunk if log.user is not None and not log.openid]
        by_user = _bindings_of(unbound, account)
        for log in chunk:
            if log.binding is not None:
                yield log, _of_binding(log.binding, log.user)
            elif log.openid:
                yield log, Target(log.openid, log.user)
            else:
                for target in _of_user(log.user, by_user):
                    yield log, target


def _by_key(queryset: QuerySet[Any]) -> Iterator[list[Recipient]]:
    """Pages by primary key. Not ``iterator()``: on MariaDB that loads everything at once."""
    ordered = queryset.order_by("pk")
    page = list(ordered[:CHUNK])
    while page:
        yield page
        page = list(ordered.filter(pk__gt=page[-1].pk)[:CHUNK])


def _each(users: Any) -> Iterable[Recipient]:
    if isinstance(users, str | Model):
        return (users,)
    try:
        return iter(users)  # type: ignore[no-any-return]
    except TypeError:
        raise _not_a_recipient(users) from None


def _chunks(recipients: Iterable[Recipient]) -> Iterator[list[Recipient]]:
    iterator = iter(recipients)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _resolve(chunk: list[Recipient], account: str) -> Iterator[Target]:
    users = [_saved(entry) for entry in chunk if isinstance(entry, _user_model())]
    openids = [entry for entry in chunk if isinstance(entry, str)]
    by_user = _bindings_of(users, account)
    # What the caller holds may be older than what WeChat has said since.
    held = [_saved(entry).pk for entry in chunk if isinstance(entry, OpenIDBinding)]
    fresh = OpenIDBinding.objects.select_related("user").in_bulk(held) if held else {}
    known = OpenIDBinding.objects.filter(account=account, openid__in=openids)
    by_openid = {b.openid: b for b in known.select_related("user")} if openids else {}
    for entry in chunk:
        if isinstance(entry, _user_model()):
            yield from _of_user(entry, by_user)
        elif isinstance(entry, OpenIDBinding):
            yield _of_given_binding(entry, fresh.get(entry.pk), account)
        elif is_openid(entry):
            bound = by_openid.get(entry)
            yield _of_binding(bound, bound.user) if bound else Target(entry)
        else:
            raise _not_a_recipient(entry)


def _bindings_of(users: list[Any], account: str) -> dict[Any, list[OpenIDBinding]]:
    found: dict[Any, list[OpenIDBinding]] = {}
    if users:
        for binding in OpenIDBinding.objects.filter(account=account, user__in=users):
            found.setdefault(binding.user_id, []).append(binding)
    return found


def _of_user(user: Any, by_user: dict[Any, list[OpenIDBinding]]) -> Iterator[Target]:
    found = by_user.get(user.pk, []) if user is not None else []
    if not found:
        yield Target(user=user, reason=NOT_BOUND)
    for binding in found:
        yield _of_binding(binding, user)


def _of_binding(binding: OpenIDBinding, user: Any) -> Target:
    return Target(binding.openid, user, binding, "" if binding.subscribed else NOT_FOLLOWING)


def _of_given_binding(given: OpenIDBinding, fresh: OpenIDBinding | None, account: str) -> Target:
    if fresh is None:
        return Target(given.openid, reason=NOT_BOUND)
    target = _of_binding(fresh, fresh.user)
    return target if fresh.account == account else replace(target, reason=OTHER_ACCOUNT)


def _saved(entry: Any) -> Any:
    if entry.pk is None:
        raise _not_a_recipient(entry, "is not saved yet")
    return entry


def _user_model() -> type[AbstractBaseUser]:
    return get_user_model()


def _not_a_recipient(entry: Any, why: str = "") -> InvalidData:
    why = why or "is not a user, an OpenIDBinding or an openid"
    text = str(entry)
    # A long text may be an openid with a stray blank, and nobody's openid is shown whole.
    shown = text if len(text) < SHORTEST_OPENID else mask_openid(text)
    given = shown if isinstance(entry, str) else entry
    return InvalidData([Problem("users", f"{type(entry).__name__} {shown!r} {why}", given=given)])
