"""A rule read back as a sentence: "当 请假申请 的 状态 变为 已批准 时，通知 申请人".

It can be read while the rule is still being written: what is not known yet is "…".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.utils.formats import time_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from ..models import RecipientFilter
from ..names import name_of
from .allowed import Allowed, AllowedField, allowed_for
from .event import REMINDERS, Event
from .kinds import Kind
from .models import Rule
from .spans import in_words

BLANK = "…"
DIGITS = 18
"""So many can be those of a primary key."""

TESTS = {
    "is": gettext_lazy("{field} is {value}"),
    "is_not": gettext_lazy("{field} is not {value}"),
    "more": gettext_lazy("{field} is more than {value}"),
    "less": gettext_lazy("{field} is less than {value}"),
    "contains": gettext_lazy("{field} contains {value}"),
    "empty": gettext_lazy("{field} is empty"),
    "not_empty": gettext_lazy("{field} is not empty"),
}
DATES = {
    "more": gettext_lazy("{field} is later than {value}"),
    "less": gettext_lazy("{field} is earlier than {value}"),
}
"""How the same is said of dates and times."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the groups and saved recipients that rules tell, by primary key as text."""

    groups: Mapping[str, str] = field(default_factory=dict)
    saved: Mapping[str, str] = field(default_factory=dict)


def names_in(rules: Iterable[Rule]) -> Names:
    """The names that the sentences of these rules use, in two queries at most."""
    chosen = [one for rule in rules for one in entries(rule.recipients)]
    groups = {str(one["group"]) for one in chosen if "group" in one}
    saved = {str(one["saved"]) for one in chosen if "saved" in one}
    return Names(_named(_group_model(), groups), _named(RecipientFilter, saved))


def sentence(rule: Rule, names: Names | None = None) -> str:
    """What the rule does, in one sentence. ``names``: those of ``names_in``, for many rules."""
    return _Reader(rule, names or names_in([rule]), str.format, str, BLANK).whole()


def sentence_html(rule: Rule, names: Names | None = None) -> str:
    """The same, with what was chosen in bold."""
    return _Reader(
        rule,
        names or names_in([rule]),
        format_html,
        lambda words: format_html("<b>{}</b>", words),
        format_html('<b class="wechat-blank">{}</b>', BLANK),
    ).whole()


def conditions_in(rule: Rule) -> str:
    """The conditions in words; "" without any."""
    return _Reader(rule, Names(), str.format, str, BLANK).conditions()


def people_in(rule: Rule) -> str:
    """The recipients in words; "…" without any."""
    return _Reader(rule, names_in([rule]), str.format, str, BLANK).people()


@dataclass(frozen=True, slots=True)
class _Reader:
    """``fill`` puts words into a text, ``mark`` marks what was chosen, ``blank`` stands for what
    was not."""

    rule: Rule
    names: Names
    fill: Callable[..., str]
    mark: Callable[[str], str]
    blank: str

    def whole(self) -> str:
        parts = {"event": self._event(), "people": self.people()}
        rule, conditions = self.rule, self.conditions()
        if conditions:
            parts["conditions"] = conditions
        if rule.delay and rule.event not in REMINDERS:
            parts["delay"] = self.mark(in_words(rule.delay))
        if conditions and "delay" in parts:
            return self.fill(_("{event}, if {conditions}, tell {people} {delay} later"), **parts)
        if conditions:
            return self.fill(_("{event}, if {conditions}, tell {people}"), **parts)
        if "delay" in parts:
            return self.fill(_("{event}, tell {people} {delay} later"), **parts)
        return self.fill(_("{event}, tell {people}"), **parts)

    # -- when -----------------------------------------------------------------------------------

    def _event(self) -> str:
        rule = self.rule
        parts = {"model": self._chosen(model_name(rule.model)), "field": self._field(rule.field)}
        if rule.event == Event.CREATED:
            return self.fill(_("When a new {model} is there"), **parts)
        if rule.event == Event.CHANGED:
            if not rule.value:
                return self.fill(_("When the {field} of a {model} changes"), **parts)
            parts["value"] = self._value(rule.field, rule.value)
            return self.fill(_("When the {field} of a {model} becomes {value}"), **parts)
        if rule.event in REMINDERS:
            return self.fill(self._moment(rule.offset or timedelta(0)), **parts, **self._times())
        return self.fill(_("When something happens to a {model}"), **parts)

    def _times(self) -> dict[str, str]:
        rule = self.rule
        clock = self.mark(time_format(rule.clock, "H:i")) if rule.clock else self.blank
        return {"span": self.mark(in_words(rule.offset or timedelta(0))), "clock": clock}

    def _moment(self, offset: timedelta) -> str:
        before, clock = self.rule.event == Event.BEFORE, self.rule.clock is not None
        if not offset:
            return (
                _("At {clock} on the {field} of a {model}")
                if clock
                else _("At the {field} of a {model}")
            )
        if clock:
            return (
                _("At {clock}, {span} before the {field} of a {model}")
                if before
                else _("At {clock}, {span} after the {field} of a {model}")
            )
        return (
            _("{span} before the {field} of a {model}")
            if before
            else _("{span} after the {field} of a {model}")
        )

    # -- conditions -----------------------------------------------------------------------------

    def conditions(self) -> str:
        given = self.rule.conditions if isinstance(self.rule.conditions, dict) else {}
        tests = [self._test(test) for test in entries(given.get("tests"))]
        between = _(" or ") if given.get("match") == "any" else _(" and ")
        return self._joined(between, tests)

    def _test(self, test: Mapping[str, Any]) -> str:
        path, op = str(test.get("field", "")), str(test.get("op", ""))
        found = field_of(self.rule.model, path)
        dated = found is not None and found.kind in (Kind.DATE, Kind.DATETIME, Kind.TIME)
        said = (DATES.get(op) if dated else None) or TESTS.get(op, TESTS["is"])
        value = self._value(path, str(test.get("value", "")))
        return self.fill(str(said), field=self._field(path), value=value)

    # -- whom -----------------------------------------------------------------------------------

    def people(self) -> str:
        chosen = [self.mark(name) for name in self._recipients()]
        return self._joined(pgettext("between people", ", "), chosen) or self.blank

    def _recipients(self) -> Iterable[str]:
        for one in entries(self.rule.recipients):
            if "path" in one:
                path = str(one["path"])
                yield recipient_name(self.rule.model, path)
            elif "group" in one:
                name = self.names.groups.get(str(one["group"]), BLANK)
                yield _("the group {group}").format(group=name)
            elif "saved" in one:
                yield self.names.saved.get(str(one["saved"]), BLANK)

    # -- words ----------------------------------------------------------------------------------

    def _joined(self, between: str, parts: list[str]) -> str:
        whole = parts[0] if parts else ""
        for part in parts[1:]:
            whole = self.fill("{}{}{}", whole, between, part)
        return whole

    def _chosen(self, words: str) -> str:
        return self.mark(words) if words else self.blank

    def _field(self, path: str) -> str:
        return self._chosen(field_name(self.rule.model, path))

    def _value(self, path: str, value: str) -> str:
        return self._chosen(value_name(field_of(self.rule.model, path), value))


def _allowed(label: str) -> Allowed | None:
    try:
        return allowed_for(label)
    except LookupError:
        return None


def model_name(label: str) -> str:
    """What people call the model; its label where rules may not see it any more."""
    found = _allowed(label)
    return found.name if found else label


def field_of(label: str, path: str) -> AllowedField | None:
    """The field that ``path`` leads to; None where rules may not see it."""
    found = _allowed(label)
    return found.fields.get(path) if found else None


def field_name(label: str, path: str) -> str:
    """What people call a field of the model; its path where rules may not see it any more."""
    found = field_of(label, path)
    return found.label if found else path


def recipient_name(label: str, path: str) -> str:
    """What people call those that a path leads to; the path where rules may not follow it."""
    found = _allowed(label)
    known = found.recipients.get(path) if found else None
    return known.label if known else path


def value_name(field: AllowedField | None, value: str) -> str:
    """The value as people see it: the label of a choice, yes and no."""
    kind = field.kind if field is not None else Kind.TEXT
    if field is not None and kind == Kind.CHOICE:
        labels = {str(key): str(label) for key, label in field.field.flatchoices}
        return labels.get(value, value)
    if kind == Kind.BOOLEAN:
        return {"true": _("yes"), "false": _("no")}.get(value.lower(), value)
    if field is not None and kind == Kind.RELATED and value:
        return _referred(field, value)
    return value.replace("T", " ") if kind == Kind.DATETIME else value


def related_name(row: models.Model) -> str:
    """What people call an object that a field refers to: a user by name."""
    return name_of(row) if isinstance(row, get_user_model()) else str(row)


def _referred(field: AllowedField, key: str) -> str:
    """The object of this key by name; the key itself if there is none."""
    target: Any = field.field
    try:
        row = target.related_model._default_manager.filter(
            **{target.target_field.name: key}
        ).first()
    except (ValidationError, ValueError, TypeError, OverflowError):
        return key
    return related_name(row) if row is not None else key


def entries(found: Any) -> list[Mapping[str, Any]]:
    """The entries of a JSON list that can be entries: somebody may have written it by hand."""
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _group_model() -> type[models.Model] | None:
    try:
        groups: Any = get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return None
    model: type[models.Model] = groups.related_model
    return model


def _named(model: type[models.Model] | None, pks: set[str]) -> dict[str, str]:
    valid = [pk for pk in pks if pk.isascii() and pk.isdigit() and len(pk) <= DIGITS]
    if model is None or not valid:
        return {}
    return {str(row.pk): str(row) for row in model._default_manager.filter(pk__in=valid)}
