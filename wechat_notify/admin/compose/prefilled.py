"""The form filled in from an earlier notification, to be sent once more, or changed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from ...dry_run import priority_for, template_again
from ...models import Notification
from ..parts.filters import NUMBER
from ..permissions import may_see_send_log
from .choosable import People
from .composed import VALUE, Composing
from .earlier import Earlier, Outcome, visible_notifications
from .earlier_values import EarlierValues
from .inputs import MOMENT

FROM = ("earlier", "outcome", "outcome_of")
"""Parameters of a link to this form."""


def filled_from(site: AdminSite, request: HttpRequest, given: QueryDict) -> QueryDict:
    """The inputs for the notification that ``given`` names, with its people as recipients.

    Without its people, and without what each of them got, for who may not see the send log. Raises
    ``LookupError`` if there is no such notification, or this user may not see it.
    """
    people = People(site, request)
    number = given.get("earlier", "")
    if not NUMBER.fullmatch(number):
        raise LookupError(number)
    notifications = visible_notifications(people).select_related("template", "revision")
    notification = notifications.filter(pk=number).first()
    if notification is None:
        raise LookupError(number)
    choice = Earlier(number, given.get("outcome") or Outcome.ALL, given.get("outcome_of", ""))
    sees_people = may_see_send_log(request)
    if sees_people:
        choice.people(people)
    composing = Composing(site, request, template_again(notification))
    inputs = QueryDict(mutable=True)
    for name, value in _inputs(composing, notification, choice, sees_people=sees_people):
        inputs[name] = value
    return inputs


def _inputs(
    composing: Composing, notification: Notification, choice: Earlier, *, sees_people: bool
) -> Iterator[tuple[str, str]]:
    yield "template", str(composing.template.pk)
    values = EarlierValues(notification, composing.template)
    texts = values.shared if sees_people else values.of_all
    for key, text in texts.items():
        yield VALUE + key, text
    if notification.title != composing.title(composing.personal(dict(texts))):
        yield "title", notification.title
    yield from _link(composing, notification)
    if notification.priority != priority_for(notification.logs.all()):
        yield "priority", str(int(notification.priority))
    if sees_people:
        yield from zip(FROM, (choice.number, choice.outcome, choice.detail), strict=True)
    if choice.outcome == Outcome.WAITING:
        yield from _times(notification)


def _link(composing: Composing, notification: Notification) -> Iterator[tuple[str, str]]:
    """Where a tap leads, unless that is the template's own."""
    leads_to = (notification.url, notification.miniprogram)
    if leads_to == composing.opened("", None):
        return
    yield "url", notification.url
    program: Any = notification.miniprogram or {}
    yield "miniprogram_appid", program.get("appid", "")
    yield "miniprogram_pagepath", program.get("pagepath", "")


def _times(notification: Notification) -> Iterator[tuple[str, str]]:
    """The times that are still to come."""
    if send_at := _to_come(notification.send_at):
        yield from (("when", "later"), ("send_at", send_at))
    if expires_at := _to_come(notification.expires_at):
        yield "expires_at", expires_at


def _to_come(moment: datetime | None) -> str:
    if moment is None or moment <= timezone.now():
        return ""
    return timezone.localtime(moment).strftime(MOMENT)
