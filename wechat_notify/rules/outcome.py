"""What a rule would do, or would have done. Nothing is written."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import DatabaseError
from django.db.models import DateField, DateTimeField, Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..triggers.failures import in_words, label
from ..writing.content import absolute_url, destination
from .allowed import Allowed, AllowedField, allowed_for
from .each_person import Person, people_of
from .event import REMINDERS, Event
from .kinds import Kind
from .language import site_language
from .models import Rule
from .object_values import shown_value, value_of
from .ready import Ready, make_ready
from .triggering import arguments_of

logger = logging.getLogger(__name__)

MOST_PEOPLE = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule would do for one object, were its event to happen now.

    ``people``: the first of them; ``people_count``: how many users there are. ``url``: where a tap
    leads. The limit for each day is not counted.
    """

    matches: bool
    why_not: str = ""
    url: str = ""
    people: tuple[Person, ...] = ()
    people_count: int = 0


def outcome(rule: Rule, instance: Model, *, most: int = MOST_PEOPLE) -> Outcome:
    """What the rule, which need not be saved, would do for this object.

    Raises ``ValidationError``, by field, for a rule that cannot be run. What goes wrong in the
    site's own code, such as that of a link, is the reason why nothing would be sent.
    """
    return _outcome(make_ready(rule), instance, most)


def _outcome(ready: Ready, instance: Model, most: int) -> Outcome:
    try:
        return _told(ready, instance, most)
    except DatabaseError:
        raise  # the transaction can be used no more
    except Exception as error:
        logger.exception("The rule %r cannot be tried on %s.", ready.rule.name, label(instance))
        text = _("An error in the site’s own code: %s") % in_words(error)
        return Outcome(False, text)


def _told(ready: Ready, instance: Model, most: int) -> Outcome:
    why_not = _why_not(ready, instance)
    if why_not:
        return Outcome(False, why_not)
    given = arguments_of(ready, instance)
    template = ready.rule.template
    with site_language():
        people = tuple(people_of(template, given["users"], given["data"], most))
        url, _miniprogram = destination(template, given["url"], None)
    return Outcome(True, "", absolute_url(url), people, given["users"].count())


def first_match(rule: Rule, instances: Iterable[Model]) -> Model | None:
    """The first of these objects that the rule concerns as it is now.

    Raises ``ValidationError``, by field, for a rule that cannot be run.
    """
    ready = make_ready(rule)
    return next((one for one in instances if not _why_not(ready, one)), None)


def _why_not(ready: Ready, instance: Model) -> str:
    """Why the rule does not concern the object as it is now; "" if it does."""
    field = ready.field
    if field is not None:
        found = value_of(field, instance)
        if ready.rule.event in REMINDERS and found is None:
            return _("%s is empty.") % field.label
        if ready.becomes is not None and found != ready.becomes:
            names = {"field": field.label, "value": shown_value(field, instance)}
            return _("%(field)s is “%(value)s”.") % names
    return ready.conditions.why_not(instance)


def recent_objects(label: str, most: int) -> list[Model]:
    """The newest objects of an allowed model. Raises ``LookupError`` for any other."""
    return list(_newest(allowed_for(label))[:most])


def _newest(allowed: Allowed) -> QuerySet[Any]:
    return allowed.model._default_manager.order_by("-pk")


@dataclass(frozen=True)
class WouldHaveSent:
    """Each object that is looked at, with its outcome. ``basis`` says which these are."""

    ready: Ready
    basis: str
    objects: QuerySet[Any]

    def __iter__(self) -> Iterator[tuple[Model, Outcome]]:
        for instance in self.objects:
            yield instance, _outcome(self.ready, instance, MOST_PEOPLE)


def would_have_sent(rule: Rule, *, days: int = 30, most: int = 1_000) -> WouldHaveSent:
    """What the rule would have sent lately, judged by the objects as they are now.

    Raises ``ValidationError`` for a rule that cannot be run.
    """
    ready = make_ready(rule)
    basis, found = _looked_at(ready, days)
    return WouldHaveSent(ready, basis, found[:most])


def _looked_at(ready: Ready, days: int) -> tuple[str, QuerySet[Any]]:
    newest = _newest(ready.allowed)
    since = timezone.now() - timedelta(days=days)
    names = {"objects": str(ready.allowed.model._meta.verbose_name_plural), "days": days}
    field = ready.field
    if field is not None and ready.rule.event in REMINDERS:
        text = _("%(objects)s whose moment was in the last %(days)d days, as they are now.")
        return text % names, newest.filter(**_moments(ready.rule, field, since))
    if field is not None and ready.becomes is not None:
        text = _("%(objects)s that have this value now, the newest first.")
        return text % names, newest.filter(**{field.field.attname: ready.becomes})
    column = _creation(ready.allowed) if ready.rule.event == Event.CREATED else None
    if column is not None:
        text = _("%(objects)s that were created in the last %(days)d days, as they are now.")
        start = since if isinstance(column, DateTimeField) else _day(since)
        return text % names, newest.filter(**{f"{column.name}__gte": start})
    text = _("The newest %(objects)s, as they are now: nobody knows when they were changed.")
    if ready.rule.event == Event.CREATED:
        text = _("The newest %(objects)s, as they are now: nobody knows when they were created.")
    return text % names, newest


def _moments(rule: Rule, field: AllowedField, since: datetime) -> dict[str, Any]:
    """The filter for objects whose moment was since then."""
    offset = rule.offset if rule.event == Event.AFTER else -rule.offset
    first, last = since - offset, timezone.now() - offset
    if field.kind is Kind.DATE:
        return {f"{field.path}__gte": _day(first), f"{field.path}__lte": _day(last)}
    return {f"{field.path}__gte": first, f"{field.path}__lte": last}


def _day(moment: datetime) -> date:
    return timezone.localtime(moment, timezone.get_default_timezone()).date()


def _creation(allowed: Allowed) -> Any:
    """The column that says when an object was created, if the model has one."""
    for field in allowed.model._meta.concrete_fields:
        if isinstance(field, DateField) and field.auto_now_add:
            return field
    return None
