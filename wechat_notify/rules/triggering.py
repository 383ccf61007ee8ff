"""The active rules as triggers: what fires them, and what they then do.

Each allowed model is watched once, for all of its rules. Reminders are found by the same looks as
those of ``remind_on``.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import Model
from django.utils import timezone

from ..models import DATABASE_TROUBLE, Notification
from ..triggers.changes import Values
from ..triggers.fire import fire
from ..triggers.reminders import Reminder
from ..triggers.trigger import Trigger, sources
from ..triggers.watching import Watch, watch
from .active_rules import active_rules
from .allowed import Allowed, allowed, listeners
from .carrying_out import carry_out
from .event import REMINDERS, Event
from .kinds import Kind
from .language import site_language
from .ready import Ready

SOURCE = "rules"
"""Mutes all rules."""


@dataclass(eq=False, kw_only=True)
class _OfRule(Trigger):
    """A trigger that a rule is."""

    ready: Ready

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = self.ready.rule
        self.name = f"{SOURCE} · {rule.name}"
        self.names = frozenset({SOURCE, rule.name, self.name})
        self.key = hashlib.sha256(f"rule {rule.pk}".encode()).hexdigest()[:12]

    def send(self, subject: Any, **arguments: Any) -> Notification | None:
        data = arguments["data"]
        return carry_out(self.ready, subject, data, {**arguments, "data": data.source})


@dataclass(eq=False, kw_only=True)
class RuleTrigger(_OfRule):
    """A rule that fires when an object is saved."""

    def is_due(self, was: Values | None, now: Values) -> bool:
        if self.ready.changes is None:
            return was is None  # a new row
        return self.ready.changes.made_by(was, now)


@dataclass(eq=False, kw_only=True)
class RuleReminder(_OfRule, Reminder):
    """A rule that fires at a time."""


@dataclass(slots=True)
class _Made:
    """The triggers that were made of these rules, so that not every save makes them."""

    rules: tuple[Ready, ...] = ()
    triggers: tuple[Trigger, ...] = ()


_made = _Made()


def triggers_of_rules() -> tuple[Trigger, ...]:
    """The active rules, as the triggers that they are."""
    global _made  # noqa: PLW0603 - replaced as a whole: another thread sees one or the other
    rules, made = active_rules(), _made
    if made.rules is not rules:
        made = _made = _Made(rules, tuple(map(_trigger, rules)))
    return made.triggers


def connect() -> None:
    """Watch the allowed models, and bring reminders. Called once, when the app is ready."""
    sources[SOURCE] = triggers_of_rules
    for one in allowed():
        _watch(one)
    listeners.append(_watch)


def _trigger(ready: Ready) -> Trigger:
    rule = ready.rule
    options: dict[str, Any] = {
        "ready": ready,
        "function": partial(arguments_of, ready),
        "template": rule.template,
        "account": rule.template.account,
        "when": ready.conditions.hold,
        "on_error": "log",
    }
    if rule.event not in REMINDERS or ready.field is None:
        return RuleTrigger(**options)
    return RuleReminder(
        **options,
        passes=DATABASE_TROUBLE,
        model=ready.allowed.model,
        at=ready.field.field.name,
        offset=rule.offset if rule.event == Event.AFTER else -rule.offset,
        grace=rule.grace,
        clock=rule.clock if ready.field.kind is Kind.DATE else None,
    )


def arguments_of(ready: Ready, instance: Model) -> dict[str, Any]:
    """The arguments of ``notify()`` with which the rule tells of this object."""
    rule = ready.rule
    with site_language():
        given: dict[str, Any] = {
            "users": ready.recipients.of(instance),
            "data": ready.texts.data_about(instance),
            "url": ready.allowed.url_of(instance) if rule.link else "",
            "priority": rule.priority,
        }
    if rule.delay:
        given["send_at"] = timezone.now() + rule.delay
    if rule.event == Event.CREATED:
        given["key"] = f"rule-{rule.pk}-{instance.pk}"
    return given


# -- when an object is saved ------------------------------------------------------------------


def _watch(one: Allowed) -> None:
    watch(
        Watch(
            key=(SOURCE, one.label),
            model=one.model,
            fields=[field.field for field in one.fields.values() if field.is_own],
            due=partial(_due, one.label),
            fire=_fire,
        )
    )


def _due(label: str, was: Values | None, now: Values) -> list[RuleTrigger]:
    """The triggers of this model's rules that a save has made due."""
    return [
        one
        for one in triggers_of_rules()
        if isinstance(one, RuleTrigger)
        and one.ready.allowed.label == label
        and one.is_due(was, now)
    ]


def _fire(due: Iterable[RuleTrigger], instance: Model, using: str | None, **kwargs: Any) -> int:
    sent = [fire(one, instance, partial(one.function, instance), using=using) for one in due]
    return sum(notification is not None for notification in sent)
