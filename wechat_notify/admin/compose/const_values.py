"""Which values of const and enum fields WeChat has accepted or refused, from the send log.

Such a field takes only values that WeChat has approved, and no API lists them
(docs/wechat-api.md, 3). A value that WeChat accepted before is approved; one that it answered with
47003 is not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from ...exceptions import Problem
from ...models import MessageTemplate, Notification, SendLog
from ...wechat import fields as template_fields
from ...wechat.naming import words_of
from ...wechat.values import normalise

Status = SendLog.Status

ACCEPTED = (Status.SENT, Status.DELIVERED, Status.UNDELIVERED)
INVALID_ARGUMENT = 47003

# There are few approved values, and recent messages have them all.
RECENT_NOTIFICATIONS = 500
RECENT_MESSAGES = 2_000


@dataclass(frozen=True, slots=True)
class Learned:
    """Values of one field: accepted before, and refused but never accepted."""

    approved: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


def learn(template: MessageTemplate) -> dict[str, Learned]:
    """What is known of each const and enum field of ``template``, by its name.

    Reads the template's recent notifications in four queries; without such a field, in none.
    """
    names = [field.name for field in template.fields if field.type in template_fields.LISTED]
    if not names:
        return {}
    notifications = Notification.objects.filter(template=template).order_by("-pk")
    recent = list(notifications.values_list("pk", flat=True)[:RECENT_NOTIFICATIONS])
    accepted, refused = _accepted(recent), _refused(recent)
    words = words_of(template.field_names)
    learned = {}
    for name in names:
        labels = [words.get(name, name), name]  # by key: from before it had a name
        approved = {_value(data, labels) for data in accepted} - {""}
        refusals = {_value(data, labels) for errmsg, data in refused if f"data.{name}." in errmsg}
        learned[name] = Learned(frozenset(approved), frozenset(refusals - approved - {""}))
    return learned


def warnings(template: MessageTemplate, data: Any, learned: Mapping[str, Learned]) -> list[Problem]:
    """What may go wrong with data that ``check_data`` finds right. None of it is certain.

    ``learned``: the result of ``learn``.
    """
    wire, _problems = normalise(template.fields, data)
    found = []
    for field in template.fields:
        if field.name in wire:
            text = wire[field.name]["value"]
            if message := _warn(field, text, learned.get(field.name, Learned())):
                found.append(Problem(field.name, message, text))
    return found


def _warn(field: template_fields.Field, text: str, known: Learned) -> str | None:
    if text in known.refused:
        return _("WeChat has refused this value before")
    return template_fields.warn(field, text, approved=known.approved)


def _accepted(recent: list[int]) -> list[dict[str, Any]]:
    """Shared data of notifications of which a message was accepted, and messages' own data."""
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


def _value(data: Mapping[str, Any], labels: Iterable[str]) -> str:
    entry = next((data[label] for label in labels if label in data), None)
    return str(entry.get("value", "")) if isinstance(entry, Mapping) else ""
