"""A rule that can be run: everything that it names is there and is allowed.

A rule is checked in this one way when it is written and whenever it is read to be run: somebody may
have written the row by SQL, or changed the code since.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.utils.translation import gettext as _

from ..conf import settings
from ..models import MessageTemplate, Notification
from ..triggers.changes import Changes
from .allowed import Allowed, AllowedField, allowed_for
from .conditions import Conditions, conditions_of, own_field
from .event import REMINDERS, Event
from .kinds import Kind
from .object_values import column_value
from .texts import Texts, texts_of
from .whom import Known, Recipients, known_in, recipients_of

if TYPE_CHECKING:
    from .models import Rule

LONGEST_OFFSET = timedelta(days=3_660)
LONGEST_DELAY = timedelta(days=366)
LONGEST_GRACE = timedelta(days=31)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ready:
    """A rule, and what it says in a form that can be run.

    ``field``: the one that is watched, or whose date is meant. ``becomes``: the value that a
    changed field must have, if any will not do. ``changes``: the same, as a save makes them.
    """

    rule: "Rule"
    allowed: Allowed
    field: AllowedField | None
    becomes: Any
    conditions: Conditions
    recipients: Recipients
    texts: Texts
    changes: Changes | None


class _Problems:
    """What is wrong with a rule, by field."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, field: str, text: str) -> None:
        self.found.setdefault(field, []).append(text)

    def tried(self, field: str, make: Callable[[], T]) -> T | None:
        """What ``make`` returns; its ``ValidationError`` is noted."""
        try:
            return make()
        except ValidationError as error:
            for text in error.messages:
                self.add(field, text)
        return None


def known_to(rules: Iterable["Rule"]) -> Known:
    """What these rules name, read for all of them at once."""
    return known_in(rule.recipients for rule in rules)


def make_ready(rule: "Rule", known: Known | None = None) -> Ready:
    """The rule, ready to run. Raises ``ValidationError`` with everything that is wrong, by field.

    It reads groups and saved recipients, unless they are ``known``, and writes nothing.
    """
    problems = _Problems()
    allowed = problems.tried("model", partial(_allowed_model, rule.model))
    if allowed is None:
        raise ValidationError(problems.found)
    field, becomes = _event(rule, allowed, problems)
    _numbers(rule, problems)
    conditions = problems.tried("conditions", partial(conditions_of, rule.conditions, allowed))
    recipients = texts = None
    template = problems.tried("template", partial(_template, rule))
    if template is not None:
        known = known or known_to([rule])
        make = partial(recipients_of, rule.recipients, allowed, template.account, known)
        recipients = problems.tried("recipients", make)
        texts = problems.tried("texts", partial(texts_of, rule.texts, template, allowed))
    if problems.found or conditions is None or recipients is None or texts is None:
        raise ValidationError(problems.found)
    changes = _changes(allowed, field, becomes) if rule.event == Event.CHANGED else None
    return Ready(rule, allowed, field, becomes, conditions, recipients, texts, changes)


def in_one_line(error: ValidationError) -> str:
    """Everything that is wrong with a rule."""
    return " ".join(error.messages)


def _allowed_model(label: str) -> Allowed:
    try:
        return allowed_for(label)
    except LookupError as error:
        raise ValidationError(_("Rules may not see “%s”.") % str(label)[:50]) from error


def _event(rule: "Rule", allowed: Allowed, problems: _Problems) -> tuple[AllowedField | None, Any]:
    """The field that the event is about, and the value that it must become."""
    if rule.event not in Event.values:
        problems.add("event", _("Say what must happen."))
    if rule.event not in Event.values or rule.event == Event.CREATED:
        return None, None
    field = problems.tried("field", partial(_own_column, rule, allowed))
    if field is None:
        return None, None
    if rule.event in REMINDERS:
        _check_moment(rule, field, problems)
        return field, None
    if not rule.value:
        return field, None
    return field, problems.tried("value", partial(column_value, field, rule.value))


def _own_column(rule: "Rule", allowed: Allowed) -> AllowedField:
    if not rule.field:
        raise ValidationError(_("Choose a field."))
    field = own_field(allowed, rule.field)
    if not field.is_own:
        text = _("“%s” is a field of another object, whose changes are not seen here.")
        raise ValidationError(text % field.label)
    if rule.event in REMINDERS and field.kind not in (Kind.DATE, Kind.DATETIME):
        raise ValidationError(_("“%s” is not a date.") % field.label)
    return field


def _changes(allowed: Allowed, field: AllowedField | None, becomes: Any) -> Changes | None:
    if field is None:
        return None
    name = field.field.name
    return Changes(allowed.model, [name] if becomes is None else {name: becomes})


def _check_moment(rule: "Rule", field: AllowedField, problems: _Problems) -> None:
    if field.kind is Kind.DATE and rule.clock is None:
        problems.add("clock", _("Say at which time of the day."))
    if field.kind is Kind.DATETIME and rule.clock is not None:
        problems.add("clock", _("“%s” has a time of its own.") % field.label)
    if not timedelta(0) <= rule.offset <= LONGEST_OFFSET:
        problems.add("offset", _("It must be from 0 to %d days.") % LONGEST_OFFSET.days)
    if not timedelta(0) < rule.grace <= LONGEST_GRACE:
        text = _("It must be more than 0, and at most %d days.")
        problems.add("grace", text % LONGEST_GRACE.days)


def _numbers(rule: "Rule", problems: _Problems) -> None:
    if not timedelta(0) <= rule.delay <= LONGEST_DELAY:
        problems.add("delay", _("It must be from 0 to %d days.") % LONGEST_DELAY.days)
    if rule.delay and rule.event in REMINDERS:
        problems.add("delay", _("A reminder has its own time."))
    if rule.priority not in Notification.Priority.values:
        problems.add("priority", _("There is no such priority."))
    if rule.most_a_day is not None and rule.most_a_day < 1:
        problems.add("most_a_day", _("It must be 1 or more."))


def _template(rule: "Rule") -> MessageTemplate:
    try:
        template: MessageTemplate = rule.template
    except ObjectDoesNotExist as error:
        raise ValidationError(_("Choose a template.")) from error
    if template.account not in settings.aliases:
        text = _("The template’s account “%s” is not in the settings.")
        raise ValidationError(text % template.account)
    if not template.is_active and template.sends_with() is None:
        raise ValidationError(_("The template “%s” is not active.") % template)
    return template
