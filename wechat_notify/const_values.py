"""What the send log has taught about values that WeChat reviews: const and enum fields.

Such a field takes approved values only, and no API tells which they are (WECHAT.md 3). What WeChat
has accepted before is approved; what it has answered with 47003 is not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from .exceptions import Problem
from .models import MessageTemplate, Notification, SendLog
from .wechat import fields as template_fields
from .wechat.values import normalise

Status = SendLog.Status

ACCEPTED = (Status.SENT, Status.DELIVERED, Status.UNDELIVERED)
INVALID_ARGUMENT = 47003

# Approved values are few and soon met; older history is not worth a long query.
RECENT_NOTIFICATIONS = 500
RECENT_MESSAGES = 2_000


@dataclass(frozen=True, slots=True)
class Learned:
    """Values of one field: accepted before, and refused without ever having been accepted."""

    approved: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


def learn(template: MessageTemplate) -> dict[str, Learned]:
    """What is known of each const and enum field of ``template``, by its name.

    Looks at the template's recent notifications, in four queries; in none where the template has
    no such field. Nothing is known of a template that was never sent.
    """
    names = [field.name for field in template.fields if field.type in template_fields.LISTED]
    if not names:
        return {}
    notifications = Notification.objects.filter(template=template).order_by("-pk")
    recent = list(notifications.values_list("pk", flat=True)[:RECENT_NOTIFICATIONS])
    accepted, refused = _accepted(recent), _refused(recent)
    learned = {}
    for name in names:
        approved = {_value(data, name) for data in accepted} - {""}
        told_no = {_value(data, name) for errmsg, data in refused if f"data.{name}." in errmsg}
        learned[name] = Learned(frozenset(approved), frozenset(told_no - approved - {""}))
    return learned


def warnings(
    template: MessageTemplate, data: Any, learned: Mapping[str, Learned] | None = None
) -> list[Problem]:
    """What may go wrong with data that ``check_data`` lets pass; nothing of it is certain.

    ``learned``: what ``learn`` said, for a caller that asks about many values.
    """
    known = learn(template) if learned is None else learned
    wire, _problems = normalise(template.fields, data)
    found = []
    for field in template.fields:
        if field.name in wire:
            text = wire[field.name]["value"]
            if message := _warn(field, text, known.get(field.name, Learned())):
                found.append(Problem(field.name, message, text))
    return found


def _warn(field: template_fields.Field, text: str, known: Learned) -> str | None:
    if text in known.refused:
        return _("WeChat has refused this value before")
    return template_fields.warn(field, text, approved=known.approved)


def _accepted(recent: list[int]) -> list[dict[str, Any]]:
    """Shared data of notifications that reached somebody, and messages' own data."""
    logs = SendLog.objects.filter(status__in=ACCEPTED)
    shared = Notification.objects.filter(
        Exists(logs.filter(notification=OuterRef("pk"))), pk__in=recent
    )
    own = logs.filter(notification__in=recent, data__isnull=False).order_by("-pk")
    return [
        *shared.values_list("data", flat=True),
        *own.values_list("data", flat=True)[:RECENT_MESSAGES],
    ]


def _refused(recent: list[int]) -> list[tuple[str, dict[str, Any]]]:
    """WeChat's words, such as "argument invalid! data.const3.value invalid", with the data."""
    logs = SendLog.objects.filter(notification__in=recent, errcode=INVALID_ARGUMENT)
    rows: Iterable[tuple[str, Any, Any]] = (
        logs.exclude(status__in=ACCEPTED)
        .order_by("-pk")
        .values_list("errmsg", "notification__data", "data")[:RECENT_MESSAGES]
    )
    return [(errmsg, {**shared, **(own or {})}) for errmsg, shared, own in rows]


def _value(data: Mapping[str, Any], name: str) -> str:
    entry = data.get(name)
    return str(entry.get("value", "")) if isinstance(entry, Mapping) else ""
