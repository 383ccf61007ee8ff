"""Looks at what is wrong, and opens and closes the alerts that say so."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.core.cache import caches
from django.db import IntegrityError, transaction
from django.utils import timezone

from ..conf import settings
from ..models import Alert, database, repeats_on_conflict
from ..sending import outcomes
from ..wechat.forks import PerProcess
from ..wechat.shared_cache import cache_key
from .alert_event import Event, quiet_for
from .mailing import waiting, write_first, write_last
from .present import State, events

KEPT_SECONDS = 24 * 3600


class Changes(NamedTuple):
    """The alerts that this process has opened and closed."""

    opened: list[Alert]
    closed: list[Alert]


_has_looked: PerProcess[set[str]] = PerProcess(set)


def look() -> Changes:
    """Open an alert for each new event, and close those whose event is over.

    Several processes may do so at once: one of them opens, and one closes. While nothing is wrong
    and nothing has changed since the last look of any process, it reads the cache alone; otherwise
    it runs a few queries, whatever the number of messages.
    """
    cache, key = caches[settings.CACHE], cache_key("alerts_looked")
    states = {alias: State.of(alias) for alias in settings.aliases}
    seen = "\n".join([*(one.as_text() for one in states.values()), outcomes.word_of_templates()])
    has_looked = _has_looked.get()
    if "yes" in has_looked and cache.get(key) == seen:
        return Changes([], [])
    changes, left = _compare(states)
    if left:
        cache.delete(key)  # the next look reads the rows again, whoever looks
    else:
        cache.set(key, seen, KEPT_SECONDS)
    has_looked.add("yes")
    return changes


def forget() -> None:
    """Have the next look of this process read the rows; for tests."""
    _has_looked.forget()


def _compare(states: dict[str, State]) -> tuple[Changes, bool]:
    """Compare what is with the alerts. True: something may change only because time passes."""
    now = timezone.now()
    opened = {alert.open_key: alert for alert in Alert.objects.still_open()}
    found = {event.key: event for event in events(states, opened.keys())}
    changes = Changes([], [])
    for key, event in found.items():
        if key not in opened and event.has_lasted(now) and (alert := _open(event, now)):
            changes.opened.append(alert)
    _go_on(opened, found, now)
    for key, alert in opened.items():
        is_over = key not in found and now - alert.seen_at >= quiet_for(alert.kind)
        if is_over and _close(alert, now):
            changes.closed.append(alert)
    return changes, bool(opened or found or waiting().exists())


@repeats_on_conflict
def _open(event: Event, now: datetime) -> Alert | None:
    """Open an alert, with the e-mails that it takes. None: another process has done so."""
    alert = event.as_alert(now)
    try:
        with transaction.atomic(using=database().alias):
            alert.save(using=database().alias, force_insert=True)
            write_first(alert)
    except IntegrityError:
        if not Alert.objects.filter(open_key=event.key).exists():
            raise
        return None
    return alert


@repeats_on_conflict
def _go_on(opened: Mapping[Any, Alert], found: Mapping[str, Event], now: datetime) -> None:
    """Note that the event of an open alert is still there, and what it says by now."""
    seen = [alert for key, alert in opened.items() if key in found]
    Alert.objects.filter(pk__in=[alert.pk for alert in seen]).update(seen_at=now)
    for alert in seen:
        if found[str(alert.open_key)].refresh(alert, now):
            alert.save(update_fields=["errcode", "until", "detail", "failed", "decided"])


@repeats_on_conflict
def _close(alert: Alert, now: datetime) -> bool:
    """Close it, with the e-mails that it takes. False: another process has done so."""
    with transaction.atomic(using=database().alias):
        this = Alert.objects.filter(pk=alert.pk, open_key__isnull=False)
        if not this.update(open_key=None, closed_at=now):
            return False
        write_last(alert)
    alert.open_key, alert.closed_at = None, now
    return True
