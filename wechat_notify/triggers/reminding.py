"""Looks for reminders that are due, and once more at each when it is sent.

There is no watermark. Each look takes the moments of the last ``grace``, and the notifications'
keys say which of them were written before: by this process, by another one, or by one that was
killed.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db.models import Model
from django.utils import timezone

from .. import duties, services
from ..conf import settings
from ..models import DATABASE_TROUBLE, Notification, repeats_on_conflict
from ..sending import messages
from .failures import contained, report
from .fire import call, fire
from .reminders import PREFIX, UTC, Reminder, reminders

EVERY = timedelta(minutes=1)
TURN_SECONDS = 0.5
"""Whoever looks also delivers: after so long, what is due goes out before more is written."""
PAGE = 50

T = TypeVar("T")

Due = tuple[Any, datetime]
"""An object's primary key, and the moment of its reminder."""


def connect() -> None:
    """Register the duty, and the second look."""
    duties.register("reminders", partial(Looker().look, TURN_SECONDS), every=EVERY)
    if withdrawn not in messages.withdrawals:
        messages.withdrawals.append(withdrawn)


def run_reminders() -> None:
    """Write the reminders that are due now, and have them sent; for tests and scripts.

    Whatever delivers does so by itself, every minute.
    """
    Looker().look()


class Looker:
    """Looks again and again, and asks about each object and moment once."""

    def __init__(self) -> None:
        self._asked: dict[Any, set[Due]] = {}
        self._left: deque[tuple[Reminder, list[Due]]] = deque()

    def look(self, seconds: float = math.inf) -> bool:
        """Write what is due now, for about so many seconds but a page at least, and have it sent.

        Returns whether more is left. The next call writes that, and does not search again: a
        search reads all that is due.
        """
        if not settings.TRIGGERS:
            self._left.clear()
            return False
        if not self._left:
            self._search()
        ends = time.monotonic() + seconds
        written: list[Notification] = []
        try:
            while self._left:
                written += self._remind(*self._left.popleft())
                if time.monotonic() > ends:
                    break
        finally:
            services.dispatch(written)
        return bool(self._left)

    def _search(self) -> None:
        """Find what is due and was not asked about, in pages."""
        now = timezone.now().astimezone(UTC)
        for reminder in reminders():
            due = _tried(reminder, partial(_due, reminder, now))
            if due is None:
                continue
            before = self._asked.get(reminder.key, set())
            asked = self._asked[reminder.key] = before.intersection(due)
            new = [one for one in due if one not in asked]
            pages = (new[start : start + PAGE] for start in range(0, len(new), PAGE))
            self._left.extend((reminder, page) for page in pages)

    def _remind(self, reminder: Reminder, page: list[Due]) -> Iterator[Notification]:
        now = timezone.now().astimezone(UTC)
        for one, notification in _remind_page(reminder, page, now):
            self._asked.setdefault(reminder.key, set()).add(one)
            if notification is not None and notification.is_new:
                yield notification


def _tried(reminder: Reminder, read: Callable[[], T]) -> T | None:
    """What ``read`` returns. None: it failed, which is reported; other reminders go on."""
    try:
        with contained(reminder, reminder.model, None):
            return read()
    except DATABASE_TROUBLE as error:
        report(reminder, reminder.model, error)
    return None


def _due(reminder: Reminder, now: datetime) -> list[Due]:
    """One query, by the index on the column alone."""
    lookup = reminder.lookup(now)
    if lookup is None or reminder.model is None:
        return []
    rows = reminder.model._default_manager.filter(**lookup).order_by()
    return [(pk, reminder.due(value)) for pk, value in rows.values_list("pk", reminder.at)]


def _written(reminder: Reminder, page: Iterable[Due]) -> set[Due]:
    """Those of the page whose notification is there."""
    keys = {reminder.key_for(*one): one for one in page}
    found = Notification.objects.filter(key__in=keys).values_list("key", flat=True)
    return {keys[key] for key in found if key in keys}


def _remind_page(
    reminder: Reminder, page: list[Due], now: datetime
) -> Iterator[tuple[Due, Notification | None]]:
    """Those of the page that have been asked about, with what was written.

    Each in a transaction of its own, so that no lock is held for long.
    """
    written = _written(reminder, page)
    left = [one[0] for one in page if one not in written]
    objects = _tried(reminder, partial(_objects, reminder, left))
    if objects is None:
        return  # and asked about again
    for one in page:
        instance = objects.get(one[0])
        moment = None if instance is None else reminder.moment(instance)
        if instance is None or moment is None or not reminder.is_due(moment, now):
            yield one, None  # written before; or deleted or moved since it was looked for
            continue
        try:
            yield one, repeats_on_conflict(_fire)(reminder, instance, moment)
        except DATABASE_TROUBLE as error:
            report(reminder, instance, error)  # and asked about again


def _fire(reminder: Reminder, instance: Model, moment: datetime) -> Notification | None:
    return fire(
        reminder,
        instance,
        partial(call, reminder.function, instance),
        using=instance._state.db,
        given={"expires_at": reminder.expiry(getattr(instance, reminder.at))},
        fixed={"key": reminder.key_for(instance.pk, moment)},
        source=Notification.Source.REMINDER,
        dispatch=False,
    )


def _objects(reminder: Reminder, pks: Collection[Any]) -> dict[Any, Model]:
    if reminder.model is None or not pks:
        return {}
    found = reminder.model._default_manager.filter(pk__in=list(pks))
    return {instance.pk: instance for instance in found}


# -- when it is sent --------------------------------------------------------------------------


def withdrawn(notifications: Iterable[Notification]) -> messages.SecondLook:
    """Those that must not be sent any more: the object is gone, was moved, or ``when`` says no.

    While the database is in trouble, or an object cannot be read, nobody knows it.
    """
    by_key = {str(reminder.key): reminder for reminder in reminders()}
    asked: dict[Reminder, dict[str, Notification]] = {}
    for one in notifications:
        parts = (one.key or "").split("-", 3)
        if one.source == Notification.Source.REMINDER and len(parts) == 4 and parts[0] == PREFIX:
            reminder = by_key.get(parts[1])
            if reminder is not None:
                asked.setdefault(reminder, {})[parts[3]] = one
    look = messages.SecondLook()
    for reminder, theirs in asked.items():
        for one, holds in _hold(reminder, theirs):
            if holds is None:
                look.unknown.add(one.pk)
            elif not holds:
                look.withdrawn.add(one.pk)
    return look


def _hold(
    reminder: Reminder, theirs: dict[str, Notification]
) -> Iterator[tuple[Notification, bool | None]]:
    """Whether each of them, by its object's key, still holds. None: that is not known now."""
    objects = _tried(reminder, partial(_objects, reminder, theirs))
    if objects is None:
        yield from ((one, None) for one in theirs.values())
        return
    found = {str(pk): instance for pk, instance in objects.items()}
    for pk, one in theirs.items():
        instance = found.get(pk)
        yield one, instance is not None and _still_holds(reminder, instance, one)


def _still_holds(reminder: Reminder, instance: Model, notification: Notification) -> bool | None:
    moment = reminder.moment(instance)
    if moment is None or reminder.key_for(instance.pk, moment) != notification.key:
        return False
    holds = False
    try:
        with contained(reminder, instance, instance._state.db):
            holds = reminder.when is None or bool(call(reminder.when, instance))
    except DATABASE_TROUBLE as error:
        report(reminder, instance, error)  # the other messages of the claim go out
        return None
    return holds
