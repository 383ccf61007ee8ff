"""``notify_changed()``: triggers for rows that were written without signals."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from django.db.models import Field, Model, QuerySet
from django.db.models.signals import post_save

from ..models import pages_by_key
from .changes import Values
from .fire import call, fire
from .on_signal import SignalTrigger
from .trigger import registered
from .watching import watches_of

PAGE = 500

M = TypeVar("M", bound=Model)


def notify_changed(
    rows: QuerySet[M] | Iterable[M],
    *fields: str,
    was: Mapping[str, Any] | None = None,
    created: bool = False,
) -> int:
    """Fire the triggers that saving each of ``rows`` would have fired.

    For what sends no signals: ``update()``, ``bulk_update()``, ``bulk_create()``, SQL. Call it in
    the same transaction, with the rows as they are now::

        paid = list(orders.values_list("pk", flat=True))
        orders.update(status="paid")
        notify_changed(Order.objects.filter(pk__in=paid), was={"status": "pending"})

    ``fields`` are the fields that have changed. ``was`` says what fields were, for triggers that
    ask for a step. ``created``: the rows are new. Triggers of ``post_save`` fire, those with
    ``changes=`` only for what has changed to what they ask for. Returns how many notified.
    """
    before = dict(was or {})
    if not (fields or before or created):
        raise TypeError("Name the fields that have changed, or say created=True.")
    names = frozenset({*fields, *before})
    return sum(_notify(row, names, before, created) for row in _in_pages(rows))


def _in_pages(rows: QuerySet[M] | Iterable[M]) -> Iterator[M]:
    if isinstance(rows, QuerySet) and not rows.query.is_sliced:
        for page in pages_by_key(rows, PAGE):
            yield from page
    else:
        yield from rows


def _notify(row: Model, names: frozenset[str], before: Mapping[str, Any], created: bool) -> int:
    arguments = {
        "signal": post_save,
        "sender": type(row),
        "instance": row,
        "created": created,
        "raw": False,
        "using": row._state.db,
        "update_fields": None if created else names,
    }
    sent = [
        fire(trigger, row, partial(call, trigger.function, **arguments), using=row._state.db)
        for trigger in _listening(type(row))
    ]
    notified = sum(notification is not None for notification in sent)
    for one in watches_of(type(row)):
        was, now = _step(one.fields, row, names, before)
        if due := one.due(None if created else was, now):
            notified += one.fire(due, **arguments)
    return notified


def _listening(model: type[Model]) -> list[SignalTrigger]:
    """The triggers that any save of the model would call."""
    return [
        trigger
        for trigger in registered()
        if isinstance(trigger, SignalTrigger)
        and post_save in trigger.signals
        and trigger.listens_to(model)
    ]


def _step(
    fields: Iterable["Field[Any, Any]"],
    row: Model,
    names: frozenset[str],
    before: Mapping[str, Any],
) -> tuple[Values, Values]:
    """What the fields were, as far as that is known, and what they are."""
    now = {field.attname: getattr(row, field.attname) for field in fields}
    was = {}
    for field in fields:
        if names.isdisjoint({field.name, field.attname}):
            was[field.attname] = now[field.attname]
        elif given := before.keys() & {field.name, field.attname}:
            was[field.attname] = before[given.pop()]
    return was, now
