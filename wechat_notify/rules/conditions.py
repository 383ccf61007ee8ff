"""The conditions of a rule: tests of an object's fields, all or any of which must hold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .allowed import Allowed, AllowedField
from .kinds import Kind
from .object_values import parsed, shown_value, value_of

MOST = 20


class Op(models.TextChoices):
    IS = "is", gettext_lazy("is")
    IS_NOT = "is_not", gettext_lazy("is not")
    MORE = "more", gettext_lazy("is more than")
    LESS = "less", gettext_lazy("is less than")
    CONTAINS = "contains", gettext_lazy("contains")
    EMPTY = "empty", gettext_lazy("is empty")
    NOT_EMPTY = "not_empty", gettext_lazy("is not empty")


_EQUAL = (Op.IS, Op.IS_NOT)
_ORDERED = (*_EQUAL, Op.MORE, Op.LESS)
_PRESENT = (Op.EMPTY, Op.NOT_EMPTY)

OPERATORS: dict[Kind, Sequence[Op]] = {
    Kind.NUMBER: (*_ORDERED, *_PRESENT),
    Kind.DATE: (*_ORDERED, *_PRESENT),
    Kind.DATETIME: (*_ORDERED, *_PRESENT),
    Kind.TIME: (*_ORDERED, *_PRESENT),
    Kind.BOOLEAN: (*_EQUAL, *_PRESENT),
    Kind.CHOICE: (*_EQUAL, *_PRESENT),
    Kind.TEXT: (*_EQUAL, Op.CONTAINS, *_PRESENT),
    Kind.RELATED: (*_EQUAL, *_PRESENT),
}
"""What can be asked of a field of each kind."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one field. ``value`` is of the field's type; None where ``op`` needs none."""

    field: AllowedField
    op: Op
    value: Any = None

    def holds(self, instance: Model) -> bool:
        """Whether the object passes it. What is empty is neither more nor less than anything."""
        found = value_of(self.field, instance)
        is_empty = found is None or found == ""
        if self.op in _PRESENT:
            return is_empty == (self.op is Op.EMPTY)
        if is_empty:
            return self.op is Op.IS_NOT
        return _COMPARE[self.op](*_comparable(found, self.value))

    def why_not(self, instance: Model) -> str:
        """What a person is told where it does not hold."""
        found = shown_value(self.field, instance)
        if found is None or found == "":
            return _("%s is empty.") % self.field.label
        if isinstance(found, datetime):
            found = timezone.localtime(found).strftime("%Y-%m-%d %H:%M")
        names = {"field": self.field.label, "value": found}
        return _("%(field)s is “%(value)s”.") % names


def _comparable(found: Any, value: Any) -> tuple[Any, Any]:
    if isinstance(found, datetime) and not isinstance(value, datetime):
        # A whole day, in the site's time zone.
        if timezone.is_aware(found):
            found = timezone.localtime(found, timezone.get_default_timezone())
        return found.date(), value
    return found, value


def _contains(found: Any, value: Any) -> bool:
    return str(value).casefold() in str(found).casefold()


def _is(found: Any, value: Any) -> bool:
    return bool(found == value or str(found) == str(value))


_COMPARE: dict[Op, Callable[[Any, Any], bool]] = {
    Op.IS: _is,
    Op.IS_NOT: lambda found, value: not _is(found, value),
    Op.MORE: lambda found, value: bool(found > value),
    Op.LESS: lambda found, value: bool(found < value),
    Op.CONTAINS: _contains,
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Several tests; without any, every object meets them."""

    tests: tuple[Condition, ...] = ()
    all_of_them: bool = True

    def hold(self, instance: Model) -> bool:
        results = (test.holds(instance) for test in self.tests)
        if not self.tests:
            return True
        return all(results) if self.all_of_them else any(results)

    def why_not(self, instance: Model) -> str:
        """What a person is told where they do not hold; "" where they do."""
        if self.hold(instance):
            return ""
        if not self.all_of_them and len(self.tests) > 1:
            return _("None of the conditions holds.")
        return next(test.why_not(instance) for test in self.tests if not test.holds(instance))


def conditions_of(given: Any, allowed: Allowed) -> Conditions:
    """The conditions that a rule's JSON says. Raises ``ValidationError`` with all problems."""
    if given in ({}, None):
        return Conditions()
    if not isinstance(given, dict) or given.get("match") not in ("all", "any"):
        raise ValidationError(_("Say whether all conditions must hold, or any."))
    tests = given.get("tests")
    if not isinstance(tests, list) or set(given) - {"match", "tests"}:
        raise ValidationError(_("The conditions cannot be read."))
    if len(tests) > MOST:
        raise ValidationError(_("There are more than %d conditions.") % MOST)
    return Conditions(tuple(_all_of(tests, allowed)), given["match"] == "all")


def _all_of(tests: Iterable[Any], allowed: Allowed) -> Iterable[Condition]:
    made, problems = [], []
    for number, one in enumerate(tests, start=1):
        try:
            made.append(condition_of(one, allowed))
        except ValidationError as error:
            names = {"number": number, "problem": " ".join(error.messages)}
            problems.append(_("Condition %(number)d: %(problem)s") % names)
    if problems:
        raise ValidationError(problems)
    return made


def condition_of(given: Any, allowed: Allowed) -> Condition:
    """One condition of a rule's JSON. Raises ``ValidationError``."""
    if not isinstance(given, dict) or set(given) - {"field", "op", "value"}:
        raise ValidationError(_("It cannot be read."))
    field = own_field(allowed, given.get("field"))
    if given.get("op") not in OPERATORS[field.kind]:
        raise ValidationError(_("%s cannot be compared so.") % field.label)
    op = Op(given["op"])
    if op in _PRESENT:
        return Condition(field, op)
    return Condition(field, op, parsed(field, given.get("value")))


def own_field(allowed: Allowed, path: Any) -> AllowedField:
    """The allowed field of this path. Raises ``ValidationError``."""
    found = allowed.fields.get(path) if isinstance(path, str) else None
    if found is None:
        shown = str(path)[:50]
        raise ValidationError(_("Rules may not see a field “%s”.") % shown)
    return found
