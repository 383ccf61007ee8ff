"""The values of an object that rules may see, and those that a person typed to compare them."""

import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import FloatField, IntegerField, Model
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime, parse_time
from django.utils.translation import gettext as _

from ..names import name_of
from .allowed import AllowedField
from .kinds import Kind

T = TypeVar("T")

LONGEST = 500
LONGEST_NUMBER = 30
LONGEST_SHOWN = 1_000
"""A text field may hold a book; no message takes more of it."""


def value_of(field: AllowedField, instance: Model) -> Any:
    """The value as Python has it; None where it, or an object on the way, is missing."""
    holder = _holder(field, instance)
    if holder is None:
        return None
    last = field.field
    value = getattr(holder, last.attname)
    if hasattr(value, "resolve_expression"):  # as in order.total = F("total") + 1
        rows = type(holder)._base_manager.using(holder._state.db)
        value = rows.values_list(last.attname, flat=True).get(pk=holder.pk)
    return last.to_python(value)


def shown_value(field: AllowedField, instance: Model) -> Any:
    """The value for a text: a text, number, date or time; None where there is none."""
    if field.kind is Kind.RELATED:
        related = _read(_holder(field, instance), field.field.name)
        if isinstance(related, get_user_model()):
            return name_of(related)
        return None if related is None else str(related)[:LONGEST_SHOWN]
    value = value_of(field, instance)
    if field.kind is Kind.CHOICE:
        value = dict(field.field.flatchoices).get(value, value)
    if field.kind is Kind.BOOLEAN and value is not None:
        return _("Yes") if value else _("No")
    if value is None or isinstance(value, int | float | Decimal | date | time):
        return value
    return str(value)[:LONGEST_SHOWN]


def _holder(field: AllowedField, instance: Model) -> Any:
    """The object whose column it is."""
    holder: Any = instance
    for step in field.steps[:-1]:
        holder = _read(holder, step.name)
    return holder


def _read(holder: Any, name: str) -> Any:
    try:
        return None if holder is None else getattr(holder, name)
    except ObjectDoesNotExist:  # a key without its object, where the database does not check
        return None


# -- what a person typed ----------------------------------------------------------------------


def parsed(field: AllowedField, given: Any) -> Any:
    """The value that ``given`` means for this field, from a form or from JSON.

    Raises ``ValidationError`` in words for a person.
    """
    if not isinstance(given, str | int | float) or len(str(given)) > LONGEST:
        raise ValidationError(_("This is no value that can be compared."))
    text = str(given).strip()
    if not text or "\0" in text:
        raise ValidationError(_("Say with which value to compare."))
    return _PARSERS[field.kind](field, text)


def _number(field: AllowedField, text: str) -> Any:
    try:
        number = Decimal(text) if len(text) <= LONGEST_NUMBER else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    # 1e999999999 is short to write, and would fill the memory as an int.
    if not number.is_finite() or abs(number.adjusted()) > LONGEST_NUMBER:
        raise ValidationError(_("“%s” is not a number.") % text)
    last: Any = field.field
    if isinstance(last, FloatField):
        return float(number) if math.isfinite(float(number)) else number
    return number


def _date(field: AllowedField, text: str) -> date:
    found = _tried(parse_date, text)
    if found is None:
        raise ValidationError(_("“%s” is not a date such as 2026-11-27.") % text)
    return found


def _moment(field: AllowedField, text: str) -> date:
    """A moment, or a whole day."""
    found: date | None = _tried(parse_date, text) or _tried(parse_datetime, text)
    if found is None:
        text = (
            _("“%s” is not a date such as 2026-11-27, or a time such as 2026-11-27 08:00.") % text
        )
        raise ValidationError(text)
    if settings.USE_TZ and isinstance(found, datetime) and timezone.is_naive(found):
        return timezone.make_aware(found, timezone.get_default_timezone())
    return found


def _time(field: AllowedField, text: str) -> time:
    found = _tried(parse_time, text)
    if found is None:
        raise ValidationError(_("“%s” is not a time of day such as 08:00.") % text)
    return found


def _tried(parse: Callable[[str], T | None], text: str) -> T | None:
    try:
        return parse(text)
    except ValueError:  # such as February 30
        return None


def _boolean(field: AllowedField, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValidationError(_("Choose yes or no."))
    return text.lower() == "true"


def _choice(field: AllowedField, text: str) -> Any:
    known = {str(value): value for value, _l in field.field.flatchoices if value is not None}
    if text not in known:
        raise ValidationError(
            _("%(field)s cannot be “%(value)s”.") % {"field": field.label, "value": text}
        )
    return known[text]


def _text(field: AllowedField, text: str) -> str:
    return text


def _related(field: AllowedField, text: str) -> Any:
    target: Any = field.field
    try:
        return target.target_field.to_python(text)
    except (ValidationError, ValueError, TypeError, OverflowError) as error:
        raise ValidationError(
            _("%(field)s cannot be “%(value)s”.") % {"field": field.label, "value": text}
        ) from error


_PARSERS: dict[Kind, Callable[[AllowedField, str], Any]] = {
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.DATETIME: _moment,
    Kind.TIME: _time,
    Kind.BOOLEAN: _boolean,
    Kind.CHOICE: _choice,
    Kind.TEXT: _text,
    Kind.RELATED: _related,
}


def column_value(field: AllowedField, given: Any) -> Any:
    """The value that a column of the object's own can become. Raises ``ValidationError``."""
    value = parsed(field, given)
    if field.kind is Kind.DATETIME and not isinstance(value, datetime):
        raise ValidationError(_("Say the time of the day, too, such as 2026-11-27 08:00."))
    if isinstance(field.field, IntegerField) and isinstance(value, Decimal):
        if value != value.to_integral_value():
            raise ValidationError(_("“%s” is not a whole number.") % given)
        return int(value)
    return value
