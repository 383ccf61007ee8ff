"""Whom a rule tells: people that the object leads to, groups, and saved recipients."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from ..models import OpenIDBinding, RecipientFilter
from ..writing.recipients import where_written
from .allowed import Allowed

MOST = 20
LARGEST_KEY = 2**63 - 1

USABLE = frozenset({"everyone", "groups", "users"})
"""Of what saved recipients keep, all that a rule understands: it must not drop a condition."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients of a rule, all together. ``account``: whose people ``everyone`` means.

    Groups and users are primary keys as saved recipients keep them: as text.
    """

    account: str
    paths: tuple[str, ...] = ()
    groups: tuple[Any, ...] = ()
    users: tuple[str, ...] = ()
    everyone: bool = False

    def of(self, instance: Model) -> QuerySet[Any]:
        """The users, each once, as they are now: not as a replica may still have them."""
        users = where_written(get_user_model()._default_manager.all())
        everybody = cast("QuerySet[Any]", users)
        found = self._led_to(instance)
        chosen = [Q(pk__in=[*found, *self.users])] if found or self.users else []
        if self.groups:
            in_groups = everybody.filter(groups__in=self.groups).order_by()
            chosen.append(Q(pk__in=in_groups.values("pk")))
        if self.everyone:
            bound = OpenIDBinding.objects.filter(account=self.account).reachable()
            chosen.append(Q(Exists(bound.filter(user=OuterRef("pk")))))
        return everybody.filter(reduce(or_, chosen)) if chosen else everybody.none()

    def plus(self, other: "Recipients") -> "Recipients":
        """Those of both."""
        return Recipients(
            self.account,
            self.paths + other.paths,
            self.groups + other.groups,
            self.users + other.users,
            self.everyone or other.everyone,
        )

    def _led_to(self, instance: Model) -> set[Any]:
        """The keys of the users that the object leads to."""
        found: set[Any] = set()
        model = type(instance)
        rows = model._base_manager.using(instance._state.db).filter(pk=instance.pk)
        for path in dict.fromkeys(self.paths):
            found.update(rows.order_by().values_list(path, flat=True).distinct())
        return found - {None}


@dataclass(frozen=True, slots=True)
class Known:
    """The groups and saved recipients that are there, of those that some rules name."""

    groups: frozenset[int] = frozenset()
    saved: Mapping[int, RecipientFilter] = field(default_factory=dict)


def known_in(listed: Iterable[Any]) -> Known:
    """What the JSON of several rules' recipients names, in two queries at most."""
    everything = [one for given in listed if isinstance(given, list) for one in given]
    groups = set(_keys(everything, "group"))
    saved = set(_keys(everything, "saved"))
    there: Iterable[int] = ()
    if groups and _users_have_groups():
        there = Group.objects.filter(pk__in=groups).values_list("pk", flat=True)
    return Known(frozenset(there), RecipientFilter.objects.in_bulk(saved) if saved else {})


def _keys(given: Iterable[Any], kind: str) -> Iterator[int]:
    """Those of this kind that can be keys of a row; anything else has no row."""
    for one in given:
        key = one.get(kind) if isinstance(one, dict) else None
        if isinstance(key, int) and not isinstance(key, bool) and 0 < key <= LARGEST_KEY:
            yield key


def recipients_of(given: Any, allowed: Allowed, account: str, known: Known) -> Recipients:
    """The recipients that a rule's JSON says. Raises ``ValidationError`` with all problems."""
    if not isinstance(given, list):
        raise ValidationError(_("The recipients cannot be read."))
    if not given:
        raise ValidationError(_("Choose whom to tell."))
    if len(given) > MOST:
        raise ValidationError(_("There are more than %d kinds of recipients.") % MOST)
    problems: list[str] = []
    found = Recipients(account)
    for one in given:
        try:
            found = found.plus(_one(one, allowed, account, known))
        except ValidationError as error:
            problems += error.messages
    if problems:
        raise ValidationError(list(dict.fromkeys(problems)))
    return found


def _one(given: Any, allowed: Allowed, account: str, known: Known) -> Recipients:
    """What one entry says."""
    if not isinstance(given, dict) or len(given) != 1:
        raise ValidationError(_("The recipients cannot be read."))
    ((kind, value),) = given.items()
    keys = set(_keys([given], kind))
    if kind == "path":
        if not isinstance(value, str) or value not in allowed.recipients:
            raise ValidationError(_("Rules may not tell people by “%s”.") % str(value)[:50])
        return Recipients(account, paths=(value,))
    if kind == "group":
        if not keys & known.groups:
            raise ValidationError(_("A group that it is to tell is gone."))
        return Recipients(account, groups=(str(value),))
    saved = known.saved.get(value) if kind == "saved" and keys else None
    if saved is None or saved.account != account:
        text = _("Saved recipients that it is to tell are gone, or of another account.")
        raise ValidationError(text if kind == "saved" else _("The recipients cannot be read."))
    return _of_saved(saved)


def can_tell(saved: RecipientFilter) -> bool:
    """Whether a rule can tell these people, and just these.

    Openids, rows of a list, the site's segments and conditions need somebody who composes.
    """
    return {name for name, value in _kept(saved).items() if value} <= USABLE


def _kept(saved: RecipientFilter) -> Mapping[str, Any]:
    return saved.criteria if isinstance(saved.criteria, Mapping) else {}


def _of_saved(saved: RecipientFilter) -> Recipients:
    if not can_tell(saved):
        text = _(
            "The saved recipients “%s” have openids, rows of a list, segments or conditions, which "
            "a rule cannot use."
        )
        raise ValidationError(text % saved.name)
    kept = _kept(saved)
    return Recipients(
        saved.account,
        groups=_possible_keys(Group, kept.get("groups")),
        users=_possible_keys(get_user_model(), kept.get("users")),
        everyone=bool(kept.get("everyone")),
    )


def _possible_keys(model: type[Model], given: Any) -> tuple[str, ...]:
    """Those that can be keys of the model's: any other would be an error of the database."""
    primary: Any = model._meta.pk
    found = []
    for one in given if isinstance(given, list) else ():
        try:
            is_key = primary.to_python(one) is not None
        except ValidationError:
            continue
        if is_key:
            found.append(str(one))
    return tuple(found)


def _users_have_groups() -> bool:
    try:
        field = get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return False
    return field.related_model is Group
