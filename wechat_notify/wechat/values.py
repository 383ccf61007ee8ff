"""Python values to the text a field wants, and a caller's data to what goes over the wire."""

import datetime
import decimal
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import formats, timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..exceptions import Problem
from . import fields as template_fields
from .fields import NOT_SHOWN, Field
from .text import CONTROL

_NOT_A_MAPPING = _("must be a mapping of field names to values")
_NOT_A_NAME = _("is no field name: letters, digits and _ only")
_SUFFIX = _("is no field of this template: write the name without “.DATA”")
_UNKNOWN = _("is no field of this template")
_MISSING = _("is missing")
_NO_VALUE = _("needs a “value”")
_NOT_TEXT = _("must be a text, a number, a date or a time, not %(type)s")

_NAME = re.compile(r"[A-Za-z0-9_]+")
# Text of these would be Python source on somebody's phone.
_CONTAINERS = (bytes, bytearray, dict, list, tuple, set, frozenset)


def to_text(value: Any, type_: str) -> str:
    """``value`` as a field of ``type_`` wants it, in the active time zone and language.

    ======================  ==================================================================
    text, lazy translation  unchanged
    None                    ""
    bool                    yes or no, translated
    aware datetime          first turned into the active time zone
    date, time, datetime    time: 2026年11月23日 15:01 (midnight for a date alone); date:
                            2026年11月23日; character_string: 2026-11-23 15:01 (no Chinese may
                            stand there); otherwise the short form of the active language
    int, float, Decimal     amount: 39.80元, rounded half up; otherwise plain digits, without
                            exponent, grouping or a float's noise
    anything else           ``str(value)``
    ======================  ==================================================================

    The wire's own forms are the same in every language: WeChat accepts no others.
    """
    if isinstance(value, str):
        return str.__str__(value)  # a str enum's own __str__ gives its Python name
    if value is None:
        return ""
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if isinstance(value, datetime.date | datetime.time):
        return _moment_text(value, type_)
    if isinstance(value, int | float | decimal.Decimal):
        return _number_text(value, type_)
    return str(value)


def _moment_text(value: datetime.date | datetime.time, type_: str) -> str:
    if isinstance(value, datetime.datetime) and timezone.is_aware(value):
        value = timezone.localtime(value)
    if isinstance(value, datetime.time):
        return f"{value:%H:%M}" if type_ in _WIRE_MOMENTS else formats.time_format(value)
    if type_ == "date":
        return _chinese_date(value)
    if type_ == "time":
        return f"{_chinese_date(value)} {value:%H:%M}"
    has_time = isinstance(value, datetime.datetime)
    if type_ == "character_string":
        return f"{value:%Y-%m-%d %H:%M}" if has_time else value.isoformat()
    return formats.date_format(value, "SHORT_DATETIME_FORMAT" if has_time else "SHORT_DATE_FORMAT")


_WIRE_MOMENTS = frozenset({"time", "date", "character_string"})


def _chinese_date(value: datetime.date) -> str:
    return f"{value.year:04}年{value.month}月{value.day}日"


# Wider than any amount a rule lets through, and half up as on a receipt.
_MONEY = decimal.Context(prec=40, rounding=decimal.ROUND_HALF_UP)
_CENT = decimal.Decimal("0.01")


def _number_text(value: float | decimal.Decimal, type_: str) -> str:
    if isinstance(value, int) and type_ != "amount":
        return str(int(value))  # an int enum's own __str__ gives its Python name
    # Fifteen digits are what a float holds for certain: 0.1 + 0.2 is 0.3 again.
    number = decimal.Decimal(f"{value:.15g}" if isinstance(value, float) else value)
    if not number.is_finite() or number.adjusted() > 32:
        return str(value)  # no rule takes it, so the caller is shown what was given
    if type_ == "amount":
        return f"{number.quantize(_CENT, context=_MONEY):f}元"
    return f"{number:f}"


def normalise(
    fields: Sequence[Field], data: object, *, trim: bool = False
) -> tuple[dict[str, dict[str, str]], list[Problem]]:
    """A caller's ``data`` for a template with these ``fields``, and everything wrong with it.

    In: ``{"thing1": value}`` or ``{"thing1": {"value": value, "color": "#173177"}}``. Out: the
    wire's ``{"thing1": {"value": text}}``, with a color only where one was given, in the
    template's order, and a problem for each field that is missing, unknown or breaks its rule.
    The wire data is fit to send only if there are no problems, and always fit to store: a text
    that no database takes is left out. ``trim`` shortens a long ``thing``. Where no rule refuses
    line breaks and other control characters, blanks stand for them.

    ``first`` and ``remark``, which WeChat no longer shows, may always be missing, and are dropped
    where the template does not have them. Without ``fields`` (a template whose content is not
    known) names and values are only checked to be names and texts.
    """
    if not isinstance(data, Mapping):
        return {}, [Problem("data", str(_NOT_A_MAPPING), data)]
    if not fields:
        return _without_fields(data)
    wire: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    for field in fields:
        if field.name in data:
            _take(field, data[field.name], wire, problems, trim=trim)
        elif field.name not in NOT_SHOWN:
            problems.append(Problem(field.name, str(_MISSING)))
    known = {field.name for field in fields} | NOT_SHOWN
    problems += (
        Problem(str(name), _why_unknown(name), data[name]) for name in data if name not in known
    )
    return wire, problems


def _without_fields(
    data: Mapping[Any, Any],
) -> tuple[dict[str, dict[str, str]], list[Problem]]:
    wire: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    for name, given in data.items():
        if isinstance(name, str) and _NAME.fullmatch(name):
            _take(Field(name, "", name), given, wire, problems, trim=False)
        else:
            problems.append(Problem(str(name), str(_NOT_A_NAME), given))
    return wire, problems


def plain_text(name: str, given: object) -> tuple[str, Problem | None]:
    """What was given for a field that no template has yet: its text, or why it is none."""
    value = given
    if isinstance(given, Mapping):
        if "value" not in given:
            return "", Problem(name, str(_NO_VALUE), given)
        value = given["value"]
    if isinstance(value, _CONTAINERS) or callable(value):
        return "", Problem(name, str(_NOT_TEXT % {"type": type(value).__name__}), value)
    text = CONTROL.sub(" ", to_text(value, "")).strip()
    return text, None


def _why_unknown(name: object) -> str:
    # Sent as they stand in the content, keys give 47003 "is empty" (docs/wechat-api.md, 2.5).
    return str(_SUFFIX if isinstance(name, str) and name.endswith(".DATA") else _UNKNOWN)


def _take(
    field: Field,
    given: object,
    wire: dict[str, dict[str, str]],
    problems: list[Problem],
    *,
    trim: bool,
) -> None:
    """Add what was given for ``field`` to ``wire``, and what is wrong with it to ``problems``."""
    value, color = given, None
    if isinstance(given, Mapping):
        if "value" not in given:
            problems.append(Problem(field.name, str(_NO_VALUE), given))
            return
        value, color = given["value"], given.get("color")
    if isinstance(value, _CONTAINERS) or callable(value):
        message = str(_NOT_TEXT % {"type": type(value).__name__})
        problems.append(Problem(field.name, message, value))
        return
    # The key tells the type even where the content is not known.
    text = to_text(value, template_fields.type_of(field.name))
    if trim:
        text = template_fields.trim(field, text)
    if broken := template_fields.check(field, text):
        problems.append(Problem(field.name, broken, value))
    elif field.name not in NOT_SHOWN and CONTROL.search(text):
        # No rule refuses it here, and WeChat shows nothing that follows a line break.
        text = CONTROL.sub(" ", text).strip()
    if template_fields.can_be_sent(text):
        wire[field.name] = (
            {"value": text} if color is None else {"value": text, "color": str(color)}
        )
