"""Which triggers a save has made due, by what has changed."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Field, Model
from django.db.models.signals import class_prepared, post_save, pre_save

from .changes import Values
from .memory import has_rows_of, layouts, remember


@dataclass(eq=False, kw_only=True)
class Watch:
    """Whoever wants to know what has changed in a model's rows.

    ``due`` says what is made due by a save, from what the row's ``fields`` were (None: it is new)
    and what they are. ``fire`` gets what is due, if anything is, and the arguments of ``post_save``
    as keywords. It returns how many notified.
    """

    key: Hashable
    model: type[Model]
    fields: Sequence["Field[Any, Any]"]
    due: Callable[[Values | None, Values], Sequence[Any]]
    fire: Callable[..., int]


watches: dict[Any, Watch] = {}


def watch(watch: Watch) -> None:
    """Connect it for its model, the model's proxies and its multi-table children."""
    remember(watch.model, [field.attname for field in watch.fields])
    watches[watch.key] = watch
    for model in {watch.model, *_subclasses(watch.model)}:
        _connect(model)


def watches_of(model: type[Model]) -> list[Watch]:
    """The watches that a save of this model concerns."""
    return [one for one in watches.values() if issubclass(model, one.model)]


def _connect(model: type[Model]) -> None:
    # One receiver for all that watch it: of the many saves, few make anything due.
    # weak=False: Django need not look at each save whether it is still there.
    for signal, receiver in ((pre_save, _before_save), (post_save, _after_save)):
        signal.connect(receiver, sender=model, weak=False, dispatch_uid="wechat_notify.watching")


def _subclasses(model: type[Model]) -> Iterable[type[Model]]:
    for child in model.__subclasses__():
        yield child
        yield from _subclasses(child)


def _on_new_class(sender: type[Model], **kwargs: Any) -> None:
    if watches_of(sender):
        _connect(sender)


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
    if layout.parents:
        layout.look_up_parents(instance, using)


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
    parents = layout.take_parents(instance) if created and layout.parents else {}
    # All of it, before anything fires: a function of the site's may save the row again.
    due = [(one, one.due(_row_before(one, parents, was), now)) for one in watches_of(sender)]
    arguments = {"created": created, "using": using, "update_fields": update_fields, **kwargs}
    for one, found in due:
        if found:
            one.fire(found, sender=sender, instance=instance, raw=raw, **arguments)


def _row_before(
    one: Watch, parents: Mapping[type[Model], Values], was: Values | None
) -> Values | None:
    """What the row was that this watches. A child's row may be new, and its parent's not."""
    for parent, row in parents.items():
        if has_rows_of(parent, one.model):
            return row
    return was


# At import, because subclasses may be defined before the app is ready.
class_prepared.connect(_on_new_class, dispatch_uid="wechat_notify.watching")
