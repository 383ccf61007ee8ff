"""What was changed in a rule, in words, for the admin's history."""

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.utils.formats import time_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ...models import Notification
from ..event import Event
from ..models import Rule
from ..sentence import conditions_in, field_name, field_of, model_name, people_in, value_name
from ..spans import in_words
from .looking import labels_of


def differences(before: Rule, after: Rule) -> str:
    """Each change as "Priority: normal → urgent", with semicolons between."""
    old, new = dict(_described(before)), dict(_described(after))
    labels = dict.fromkeys([*old, *new])
    changed = [
        _("%(label)s: %(before)s → %(after)s")
        % {"label": label, "before": old.get(label) or "-", "after": new.get(label) or "-"}
        for label in labels
        if old.get(label, "") != new.get(label, "")
    ]
    return _("; ").join(changed) or _("Saved without a change.")


def _described(rule: Rule) -> Iterator[tuple[str, str]]:
    """Every part of a rule with its label, in words."""
    for name, words in _columns(rule):
        column: Any = Rule._meta.get_field(name)
        yield str(capfirst(column.verbose_name)), words
    texts, labels = rule.texts if isinstance(rule.texts, dict) else {}, labels_of(rule.template)
    for field, text in texts.items():
        yield _("Text of %s") % labels.get(field, field), str(text)


def _columns(rule: Rule) -> Iterator[tuple[str, str]]:
    """Every column that people fill in, in words."""
    yield "name", rule.name
    yield "model", model_name(rule.model)
    yield "event", _label(Event, rule.event)
    yield "field", field_name(rule.model, rule.field)
    yield "value", value_name(field_of(rule.model, rule.field), rule.value)
    yield "offset", in_words(rule.offset) if rule.offset else ""
    yield "clock", time_format(rule.clock, "H:i") if rule.clock else ""
    yield "grace", in_words(rule.grace)
    yield "conditions", conditions_in(rule)
    yield "recipients", people_in(rule)
    yield "template", str(rule.template)
    yield "link", _("yes") if rule.link else _("no")
    yield "delay", in_words(rule.delay) if rule.delay else ""
    yield "priority", _label(Notification.Priority, rule.priority)
    yield "most_a_day", str(rule.most_a_day or "")


def _label(choices: type[models.Choices], value: Any) -> str:
    """The word for a choice; the value itself where it is none."""
    return str(dict(choices.choices).get(value, value))
