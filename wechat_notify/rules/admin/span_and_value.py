"""Inputs that rules need: a time span as a number and its unit, and a value of a model's field."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ..allowed import AllowedField
from ..kinds import Kind
from ..spans import DAYS, HOURS, MINUTES, UNITS, number_and_unit

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MOST = 100_000
"""Of any unit; more than any rule needs, and less than a timedelta can hold."""


class SpanWidget(forms.MultiWidget):
    """A number, and beside it minutes, hours or days."""

    def __init__(self, label: Any) -> None:
        units = [(MINUTES, _("minutes")), (HOURS, _("hours")), (DAYS, _("days"))]
        number = {"inputmode": "numeric", "autocomplete": "off", "aria-label": label}
        unit = forms.Select(choices=units, attrs={"aria-label": _("Unit")})
        super().__init__({"number": forms.TextInput(attrs=number), "unit": unit})

    def decompress(self, value: Any) -> list[Any]:
        return list(number_and_unit(value)) if isinstance(value, timedelta) else ["", DAYS]


class SpanField(forms.MultiValueField):
    """A time span of whole minutes, hours or days. Empty: ``timedelta(0)``."""

    def __init__(self, *, label: Any, **kwargs: Any) -> None:
        number = forms.IntegerField(min_value=0, max_value=MOST, required=False)
        unit = forms.ChoiceField(choices=[(name, name) for name in UNITS])
        widget = SpanWidget(label)
        super().__init__((number, unit), label=label, required=False, widget=widget, **kwargs)

    def compress(self, data_list: Any) -> timedelta:
        if not data_list or data_list[0] is None:
            return timedelta(0)
        number, unit = data_list
        span: timedelta = number * UNITS[unit or DAYS]
        return span


def span_data(name: str, span: timedelta) -> Mapping[str, str]:
    """What the input ``name`` would send for this span."""
    number, unit = number_and_unit(span)
    return {f"{name}_number": str(number), f"{name}_unit": unit}


class ValueField(forms.CharField):
    """A value of a model's field, as text: a choice where there are choices, and else an input of
    its kind. ``given`` is a choice, too, even if it is none any more: it must not become another
    one unnoticed. ``related``: the choices of a field that refers to other objects, where they are
    few. Whether the text is right is for the rule itself to say.
    """

    def __init__(
        self,
        field: AllowedField | None,
        *,
        given: str = "",
        related: list[tuple[str, str]] | None = None,
        empty: Any = "---------",
        **kwargs: Any,
    ) -> None:
        widget = _widget(field, given, related, empty)
        if isinstance(widget, forms.Select) and given not in {key for key, _l in widget.choices}:
            widget.choices = [*widget.choices, (given, given)]
        super().__init__(required=False, widget=widget, **kwargs)


def _widget(
    field: AllowedField | None, given: str, related: list[tuple[str, str]] | None, empty: Any
) -> forms.Widget:
    kind = field.kind if field is not None else Kind.TEXT
    if kind == Kind.DATETIME and DAY.fullmatch(given):
        kind = Kind.DATE  # a whole day, which can be compared with a moment, too
    if kind == Kind.BOOLEAN:
        return forms.Select(choices=[("", empty), ("True", _("yes")), ("False", _("no"))])
    if kind == Kind.CHOICE and field is not None:
        flat = [(str(value), label) for value, label in field.field.flatchoices if value != ""]
        return forms.Select(choices=[("", empty), *flat])
    if related is not None:
        return forms.Select(choices=[("", empty), *related])
    return forms.TextInput(attrs={"autocomplete": "off", **INPUTS.get(kind, {})})


# The browser's own picker, or the keyboard that a phone shows.
INPUTS: Mapping[Kind, dict[str, str]] = {
    Kind.DATETIME: {"type": "datetime-local"},
    Kind.DATE: {"type": "date"},
    Kind.TIME: {"type": "time"},
    Kind.NUMBER: {"inputmode": "decimal"},
}
