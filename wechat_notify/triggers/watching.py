"""Which triggers a save has made due, by what has changed."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Field, Model
from django.db.models.signals import class_prepared, post_save, pre_save

from .changes import Changes, Values
from .memory import layouts, remember
from .trigger import Trigger


@dataclass(eq=False, kw_only=True)
class Watch:
    """Whoever wants to know what has changed in a model's rows.

    ``due`` says what is made due by a save, from what the row's ``fields`` were (None: it is new)
    and what they are. ``receive`` is connected to ``post_save``, and takes what is due.
    """

    key: Hashable
    model: type[Model]
    fields: Sequence["Field[Any, Any]"]
    due: Callable[[Values | None, Values], Iterable[Hashable]]
    connect_options: dict[str, Any] = field(default_factory=dict)
    receive: Any
    fire: Callable[[Model, Iterable[Hashable], str | None], int] | None = None
    """Fires for the row what is due, without a signal, and returns how many notified. None: what
    is due needs the signal's arguments."""


@dataclass(eq=False, kw_only=True)
class TriggerWatch(Watch):
    """A trigger with ``changes=``."""

    changes: Changes


watches: dict[Any, Watch] = {}


def watch(watch: Watch) -> None:
    """Connect it for its model, the model's proxies and its multi-table children."""
    remember(watch.model, [field.attname for field in watch.fields])
    watches[watch.key] = watch
    for model in {watch.model, *_subclasses(watch.model)}:
        _connect(watch, model)


def watch_trigger(
    trigger: Trigger, model: type[Model], changes: Changes, receive: Any, **connect_options: Any
) -> None:
    """Watch the changes of ``model`` that make this trigger due."""

    def due(was: Values | None, now: Values) -> Iterable[Hashable]:
        return [trigger.key] if changes.made_by(was, now) else []

    watch(
        TriggerWatch(
            key=trigger.key,
            model=model,
            fields=changes.fields,
            due=due,
            connect_options=connect_options,
            receive=receive,
            changes=changes,
        )
    )


def changes_of(trigger: Trigger, model: type[Model]) -> Changes | None:
    """The changes of this model that the trigger watches; None: it watches none."""
    found = watches.get(trigger.key)
    if isinstance(found, TriggerWatch) and issubclass(model, found.model):
        return found.changes
    return None


def watches_of(model: type[Model]) -> list[Watch]:
    """The watches that a save of this model concerns."""
    return [one for one in watches.values() if issubclass(model, one.model)]


def take_due(instance: Model, key: Hashable) -> bool:
    """Whether a save has made this due, which it is no more then."""
    due: list[Any] | None = instance._state.__dict__.get("wechat_due")
    if not due or key not in due:
        return False
    due.remove(key)
    return True


def take_all_due(instance: Model, wanted: Callable[[Hashable], bool]) -> list[Hashable]:
    """What a save has made due and ``wanted`` says yes to, which is due no more then."""
    due: list[Any] | None = instance._state.__dict__.get("wechat_due")
    taken = [one for one in due or () if wanted(one)]
    for one in taken:
        take_due(instance, one)
    return taken


def _connect(watch: Watch, model: type[Model]) -> None:
    pre_save.connect(_before_save, sender=model, dispatch_uid="wechat_notify.watching")
    # Before the triggers' own receivers, which it makes due.
    post_save.connect(_after_save, sender=model, dispatch_uid="wechat_notify.watching")
    post_save.connect(watch.receive, sender=model, weak=False, **watch.connect_options)


def _subclasses(model: type[Model]) -> Iterable[type[Model]]:
    for child in model.__subclasses__():
        yield child
        yield from _subclasses(child)


def _on_new_class(sender: type[Model], **kwargs: Any) -> None:
    for one in watches_of(sender):
        _connect(one, sender)


def _before_save(
    sender: type[Model], instance: Model, raw: bool, using: str, update_fields: Any, **kwargs: Any
) -> None:
    layout = layouts[sender]
    if layout.is_remembered(instance, using):
        return
    if raw or (update_fields is not None and layout.names.isdisjoint(update_fields)):
        return
    if not layout.is_new(instance):
        layout.ensure_known(instance, using)


def _after_save(
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: Any,
    **kwargs: Any,
) -> None:
    layout, state = layouts[sender], instance._state
    if not (created or raw) and layout.is_untouched(instance):
        return  # the usual case, told before anything is compared
    written = None if created else update_fields
    if raw:
        state.wechat_was = None  # type: ignore[attr-defined]
        return
    if written is not None and layout.names.isdisjoint(written):
        return
    was = None if created else layout.known(instance, using)
    now = layout.now(instance, was or {}, written, using)
    if now == was:
        return
    layout.keep_written(instance, now, using)
    due = [key for one in watches_of(sender) for key in one.due(was, now)]
    if due:
        state.wechat_due = getattr(state, "wechat_due", []) + due  # type: ignore[attr-defined]


# At import, because subclasses may be defined before the app is ready.
class_prepared.connect(_on_new_class, dispatch_uid="wechat_notify.watching")
