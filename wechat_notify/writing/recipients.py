"""Who gets a message: from the ``users`` of ``notify()`` to one target for each openid."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias, TypeGuard

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import router
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_noop

from ..exceptions import InvalidData, Problem
from ..models import OpenIDBinding, SendLog, pages_by_key
from ..names import name_of
from ..wechat.masking import mask_openid
from ..wechat.openids import SHORTEST_OPENID, is_openid

CHUNK = 2_000

# Stored as written here and translated when shown, so that a log reads well in every language.
NOT_BOUND = gettext_noop("This user has not bound WeChat.")
NOT_FOLLOWING = gettext_noop("This person does not follow the account.")
OTHER_ACCOUNT = gettext_noop("This openid belongs to another account.")
UNBOUND = gettext_noop("The WeChat that this message was for is no longer bound to this user.")
NO_DATA = gettext_noop("What this message was to say was never written down.")

Recipient: TypeAlias = AbstractBaseUser | OpenIDBinding | str
"""A user, a binding or an openid."""

Users: TypeAlias = Recipient | Iterable[Recipient]
"""Whom ``notify()`` writes to: one recipient, or any iterable or QuerySet of them."""


@dataclass(frozen=True, slots=True)
class Target:
    """The recipient of one row: an openid and its user, or the reason why nothing is sent."""

    openid: str = ""
    user: Any = None
    binding: OpenIDBinding | None = None
    reason: str = ""

    @property
    def person(self) -> Any:
        """The argument of a per-recipient function: the user, or the openid if there is none."""
        return self.user if self.user is not None else self.openid

    @property
    def label(self) -> str:
        """The recipient's name in a ``Problem``. Never a whole openid."""
        return name_of(self.user) if self.user is not None else mask_openid(self.openid)


OwnData: TypeAlias = Callable[[Target], tuple[dict[str, Any], list[Problem]]]
"""A recipient's own data as text, and what is wrong with it."""


def where_written(users: Users) -> Users:
    """Make a QuerySet without ``using()`` read from the database that its model is written to.

    A replica may not have the newest users yet. Anything else is returned as it is.
    """
    if isinstance(users, QuerySet) and users._db is None:  # type: ignore[attr-defined]
        return users.using(router.db_for_write(users.model))
    return users


def can_be_subquery(queryset: QuerySet[Any], using: str) -> bool:
    """Whether this QuerySet can be a subquery in the database ``using``."""
    return is_plain(queryset) and queryset.db == using


def is_plain(users: object) -> TypeGuard[QuerySet[Any]]:
    """A QuerySet of model objects that is not sliced, combined or DISTINCT ON.

    MariaDB takes no LIMIT in a subquery. ``values_list("openid", flat=True)`` yields openids.
    """
    if not isinstance(users, QuerySet) or users._fields is not None:  # type: ignore[attr-defined]
        return False
    query = users.query
    return not (query.is_sliced or query.combinator or query.distinct_fields)


def targets(users: Users, account: str) -> Iterator[Target]:
    """One target for each openid of each recipient; an openid that comes twice, once.

    Users without a binding, people who unfollowed and openids of other accounts are not left out:
    their target has a ``reason``. Reads in chunks. For a plain QuerySet, memory does not grow with
    the number of recipients; for anything else it holds all openids.
    """
    seen: set[Hashable] = set()
    for chunk in pages_by_key(users, CHUNK) if is_plain(users) else _chunks(users):
        if is_plain(users):
            seen.clear()  # pages are in the order of the key, so none of these comes again
        for target in _resolve(chunk, account):
            mark = _mark(target)
            if mark not in seen:
                seen.add(mark)
                yield target


def _mark(target: Target) -> Hashable:
    """A value that is equal for two targets that would be the same row.

    Two aliases may stand for one account of WeChat. So a binding of the other alias, for which
    nothing is sent, must not count as the same target.
    """
    if target.reason == OTHER_ACCOUNT:
        return OTHER_ACCOUNT, target.openid
    # The bare string, because hundreds of thousands of marks may be held.
    return target.openid or ("user", target.user.pk)


def targets_again(rows: Sequence[int], account: str) -> Iterator[tuple[SendLog, Target]]:
    """The targets of rows that are sent again, which are given by their keys. Reads in chunks.

    Each has its row's openid while that is its user's, or belongs to nobody here. Any other row has
    a target for each openid that its user has bound since.
    """
    logs = SendLog.objects.select_related("user", "binding").order_by("pk")
    for first in range(0, len(rows), CHUNK):
        chunk = list(logs.filter(pk__in=rows[first : first + CHUNK]))
        since = _bound_since([log for log in chunk if not _is_on_own_binding(log)], account)
        for log in chunk:
            if log.binding is not None and _is_on_own_binding(log):
                yield log, _on_account(_of_binding(log.binding, log.user), account)
            elif log.user is None and log.openid:
                yield log, Target(log.openid)
            else:
                for target in _of_row(log, since.get(log.pk, [])):
                    yield log, target


def _is_on_own_binding(log: SendLog) -> bool:
    """Not if the openid was unbound since, or has become somebody else's."""
    return log.binding is not None and log.user_id in (None, log.binding.user_id)


def _bound_since(logs: list[SendLog], account: str) -> dict[int, list[OpenIDBinding]]:
    """What is bound to the user of each row now, by row: its own openid, if that was bound again.

    Or else not the openids for which the same notification has other rows; and if it has several
    rows like these for one user, the first of them has all.
    """
    bound: dict[Any, dict[str, OpenIDBinding]] = {}
    for user, bindings in _bindings_of([log.user for log in logs if log.user], account).items():
        bound[user] = {binding.openid: binding for binding in bindings}
    beside = SendLog.objects.filter(notification__in={log.notification_id for log in logs})
    openids = {openid for its in bound.values() for openid in its}
    written = set(beside.filter(openid__in=openids).values_list("notification_id", "openid"))
    rows = beside.filter(user__in=bound.keys()).order_by("-pk")
    first: dict[tuple[int, Any], int] = {
        (notification, user): pk
        for notification, user, pk, openid in rows.values_list(
            "notification_id", "user_id", "pk", "openid"
        )
        if openid not in bound[user]
    }

    def of_row(log: SendLog) -> list[OpenIDBinding]:
        its = bound.get(log.user_id, {})
        if log.openid in its:
            return [its[log.openid]]
        if first.get((log.notification_id, log.user_id)) != log.pk:
            return []
        return [one for openid, one in its.items() if (log.notification_id, openid) not in written]

    return {log.pk: of_row(log) for log in logs} if bound else {}


def _of_row(log: SendLog, since: list[OpenIDBinding]) -> Iterator[Target]:
    if not since:
        yield Target(user=log.user, reason=UNBOUND if log.openid else NOT_BOUND)
    for binding in since:
        yield _of_binding(binding, log.user)


def _chunks(users: Users) -> Iterator[list[Recipient]]:
    if isinstance(users, str | Model):
        yield [users]
        return
    try:
        iterator = iter(users)
    except TypeError:
        raise _not_a_recipient(users) from None
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _resolve(chunk: list[Recipient], account: str) -> Iterator[Target]:
    users = [_saved(entry) for entry in chunk if isinstance(entry, _user_model())]
    openids = [entry for entry in chunk if isinstance(entry, str)]
    by_user = _bindings_of(users, account)
    # Read bindings again: the caller's objects may be old.
    held = [_saved(entry).pk for entry in chunk if isinstance(entry, OpenIDBinding)]
    fresh = OpenIDBinding.objects.select_related("user").in_bulk(held) if held else {}
    known = OpenIDBinding.objects.filter(account=account, openid__in=openids)
    by_openid = {b.openid: b for b in known.select_related("user")} if openids else {}
    for entry in chunk:
        if isinstance(entry, _user_model()):
            yield from _of_user(entry, by_user)
        elif isinstance(entry, OpenIDBinding):
            yield _of_given_binding(entry, fresh.get(entry.pk), account)
        elif isinstance(entry, str) and is_openid(entry):
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
    found = by_user.get(user.pk, [])
    if not found:
        yield Target(user=user, reason=NOT_BOUND)
    for binding in found:
        yield _of_binding(binding, user)


def _of_binding(binding: OpenIDBinding, user: Any) -> Target:
    return Target(binding.openid, user, binding, "" if binding.subscribed else NOT_FOLLOWING)


def _of_given_binding(given: OpenIDBinding, fresh: OpenIDBinding | None, account: str) -> Target:
    if fresh is None:
        return Target(given.openid, reason=NOT_BOUND)
    return _on_account(_of_binding(fresh, fresh.user), account)


def _on_account(target: Target, account: str) -> Target:
    is_here = target.binding is not None and target.binding.account == account
    return target if is_here else replace(target, reason=OTHER_ACCOUNT)


def _saved(entry: Any) -> Any:
    if entry.pk is None:
        raise _not_a_recipient(entry, "is not saved yet")
    return entry


def _user_model() -> type[AbstractBaseUser]:
    return get_user_model()


def _not_a_recipient(entry: Any, why: str = "") -> InvalidData:
    why = why or "is not a user, an OpenIDBinding or an openid"
    text = str(entry)
    # A long text may be an openid with a blank too many, so it is masked like one.
    shown = text if len(text) < SHORTEST_OPENID else mask_openid(text)
    given = shown if isinstance(entry, str) else entry
    return InvalidData([Problem("users", f"{type(entry).__name__} {shown!r} {why}", given=given)])
