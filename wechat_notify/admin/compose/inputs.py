"""Inputs for one field of a template, and for moments."""

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ...wechat.fields import LISTED, Field
from .composed import VALUE, Composing

LONGEST = 1_000
MOMENT = "%Y-%m-%dT%H:%M"

# The keyboard that a phone shows.
KEYBOARDS = {"amount": "decimal", "number": "decimal", "phone_number": "tel"}
# The browser's picker, beside a text input in which a range can be typed too.
PICKERS = {"time": "datetime-local", "date": "date"}


class ValueField(forms.CharField):
    """The value of one field of a template. The form checks its rule, because the form knows what
    is a placeholder."""

    def __init__(self, composing: Composing, field: Field) -> None:
        rule = field.rule
        super().__init__(
            label=field.label or field.name,
            required=False,
            help_text=capfirst(rule.message) if rule is not None else "",
        )
        self.type = field.type
        self.key = field.name
        self.picker = PICKERS.get(field.type, "") if rule is not None else ""
        self.limit = rule.limit if rule is not None else None
        self.choices = sorted(_choices(composing, field))
        self.list_id = f"wechat-choices-{field.name}" if self.choices else ""
        # More than WeChat takes. Not maxlength, which cuts pasted text off silently.
        self.validators.append(MaxLengthValidator(LONGEST))
        self.widget.attrs.update(self._attributes(composing, field))

    def _attributes(self, composing: Composing, field: Field) -> dict[str, Any]:
        given = f"id_{VALUE}{field.name}"
        attributes = {
            "autocomplete": "off",
            "aria-describedby": f"{given}_said {given}_helptext",
        }
        if example := composing.examples.get(field.name):
            attributes["placeholder"] = _("such as %s") % example
        if field.type in KEYBOARDS:
            attributes["inputmode"] = KEYBOARDS[field.type]
        if self.list_id:
            attributes["list"] = self.list_id
        return attributes


def _choices(composing: Composing, field: Field) -> frozenset[str]:
    if field.type not in LISTED:
        return frozenset()
    return composing.learned[field.name].approved


class MomentField(forms.DateTimeField):
    """A date and time in the active time zone, with the browser's picker."""

    widget = forms.DateTimeInput(format=MOMENT, attrs={"type": "datetime-local"})


def check_moments(form: forms.BaseForm, given: dict[str, Any]) -> None:
    """Add what is wrong with ``send_at`` and ``expires_at`` to the form's errors."""
    for name in ("send_at", "expires_at"):
        moment = given.get(name)
        if moment is not None and moment <= timezone.now():
            form.add_error(name, _("This time has passed."))
    send_at, expires_at = given.get("send_at"), given.get("expires_at")
    if send_at and expires_at and expires_at <= send_at:
        form.add_error("expires_at", _("This is before it would be sent."))
