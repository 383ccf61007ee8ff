"""What the watched fields of an object were in the database, remembered from loading.

Only models with a ``changes=`` trigger have this: their ``from_db`` and ``refresh_from_db`` are
wrapped. Loading keeps a reference to the row and does nothing else, because 100,000 objects may be
loaded for one that is saved. What is not known is looked up, with one query, before a save.
"""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Field, Model

from .changes import Values
from .fate import Fate, certain, fate_of_read, fate_of_write, open_fates

# Values that nobody can change in place; and the types of most of them, which are found faster.
IMMUTABLE = (str, int, float, Decimal, date, time, timedelta, UUID, bytes, type(None))
PLAIN = frozenset({*IMMUTABLE, bool, datetime})


@dataclass(slots=True)
class _Kept:
    """What is remembered of an object after more than a plain load. ``key``: of which row."""

    values: dict[str, Any]
    key: tuple[Any, ...]
    using: str
    fate: Fate


class Layout:
    """Where the watched fields of a model stand in the rows that it is loaded from."""

    def __init__(self, model: type[Model], attnames: Iterable[str]) -> None:
        columns = [field.attname for field in model._meta.concrete_fields]
        self.size = len(columns)
        self.fields: list[Field[Any, Any]] = [
            model._meta.get_field(name)  # type: ignore[misc]
            for name in dict.fromkeys(attnames)
        ]
        self.names = {name for field in self.fields for name in (field.name, field.attname)}
        self._positions = [(field.attname, columns.index(field.attname)) for field in self.fields]
        self._key = [
            (field.attname, columns.index(field.attname)) for field in model._meta.pk_fields
        ]
        primary = model._meta.pk_fields
        self._has_default_key = all(one.has_default() or one.has_db_default() for one in primary)
        self.parents = list(_parents(model))
        """The multi-table parents that have watched fields: each with the link to it, and these."""

    def is_new(self, instance: Model) -> bool:
        """Whether saving it is sure to insert a row, as Django itself decides."""
        if not instance._state.adding:
            return False
        return self._has_default_key or None in self._key_of(instance)

    def is_remembered(self, instance: Model, using: str) -> bool:
        """Whether a plain load has told all that the watched fields of this row were."""
        state, values = instance._state, instance.__dict__
        kept = getattr(state, "wechat_was", None)
        if kept is None or type(kept) is _Kept:
            return False
        if len(kept) != self.size or state.db != using:
            return False
        for name, position in self._key:
            if kept[position] != values.get(name):
                return False
        for _name, position in self._positions:  # noqa: SIM110 - faster than a generator
            if type(kept[position]) not in PLAIN:
                return False
        return True

    def is_untouched(self, instance: Model) -> bool:
        """Whether the watched fields still hold the very values that a plain load has set."""
        values = instance.__dict__
        kept = getattr(instance._state, "wechat_was", None)
        if kept is None or type(kept) is _Kept or len(kept) != self.size:
            return False
        for name, position in self._positions:  # noqa: SIM110 - faster than a generator
            if values.get(name) is not kept[position]:
                return False
        return True

    def known(self, instance: Model, using: str) -> dict[str, Any]:
        """What the watched fields were, as far as that is remembered and certain."""
        kept = getattr(instance._state, "wechat_was", None)
        if isinstance(kept, _Kept):
            same_row = kept.using == using and kept.key == self._key_of(instance)
            return kept.values if same_row and kept.fate.is_certain(connections[using]) else {}
        if kept is None or len(kept) != self.size or instance._state.db != using:
            return {}
        if any(kept[position] != instance.__dict__.get(name) for name, position in self._key):
            return {}
        return {
            name: kept[position]
            for name, position in self._positions
            if isinstance(kept[position], IMMUTABLE)
        }

    def ensure_known(self, instance: Model, using: str) -> None:
        """Look up what is not known of the row that is about to be written."""
        known = self.known(instance, using)
        missing = [field.attname for field in self.fields if field.attname not in known]
        if missing:
            found = self.look_up(instance, using, missing)
            self._keep(instance, {**known, **found}, using, fate_of_read(using))

    def look_up_parents(self, instance: Model, using: str) -> None:
        """Look up the parents' rows, if there are any, that a child's row is about to stand beside.

        If the child has a row already, nothing is looked up.
        """
        state: Any = instance._state
        state.wechat_parents = {}
        if self.known(instance, using):
            return
        for parent, link, names in self.parents:
            key = instance.__dict__.get(link.attname)
            if key is not None:
                rows = parent._base_manager.using(using).filter(**{link.target_field.name: key})
                state.wechat_parents.update((parent, row) for row in rows.values(*names)[:1])

    def take_parents(self, instance: Model) -> dict[type[Model], Values]:
        """What the parents' rows were that were there before the save, and forget it."""
        found: dict[type[Model], Values] = vars(instance._state).pop("wechat_parents", {})
        return found

    def now(self, instance: Model, was: Values, written: Any, using: str) -> dict[str, Any]:
        """What the watched fields are after a save of the fields ``written`` (None: all)."""
        values, computed = dict(was), []
        for field in self.fields:
            name = field.attname
            if name not in instance.__dict__ or not _is_written(field, written):
                continue
            values[name] = instance.__dict__[name]
            if hasattr(values[name], "resolve_expression"):
                computed.append(name)
        if computed:
            values.update(self.look_up(instance, using, computed))
        return values

    def look_up(self, instance: Model, using: str, attnames: list[str]) -> dict[str, Any]:
        """The row's values in the database; empty if there is no such row."""
        rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
        return next(iter(rows.values(*attnames)[:1]), {})

    def keep_written(self, instance: Model, now: Values, using: str) -> None:
        """Remember what a save has written."""
        self._keep(instance, _own(now), using, fate_of_write(using))

    def keep_refreshed(self, instance: Model, fields: Iterable[str] | None) -> None:
        """Remember what ``refresh_from_db`` has read."""
        using = instance._state.db
        if using is None:
            return
        names = None if fields is None else frozenset(fields)
        now = self.now(instance, self.known(instance, using), names, using)
        self._keep(instance, _own(now), using, fate_of_read(using))

    def keep_loaded(self, instance: Model, values: Any) -> None:
        """Remember a row that may show what this transaction wrote and may yet undo."""
        using = instance._state.db
        fate = fate_of_read(using) if using else certain()
        if len(values) == self.size:
            loaded = {name: values[position] for name, position in self._positions}
            self._keep(instance, _own(loaded), using or "", fate)

    def _keep(self, instance: Model, values: Values, using: str, fate: Fate) -> None:
        state: Any = instance._state
        state.wechat_was = _Kept(dict(values), self._key_of(instance), using, fate)

    def _key_of(self, instance: Model) -> tuple[Any, ...]:
        return tuple(instance.__dict__.get(name) for name, _position in self._key)


def _own(values: Values) -> dict[str, Any]:
    """The values without what the object may change in place: a copy, or nothing."""
    own: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, list | dict):
            own[name] = copy.deepcopy(value)
        elif isinstance(value, IMMUTABLE):
            own[name] = value
    return own


def _is_written(field: "Field[Any, Any]", written: Any) -> bool:
    return written is None or field.name in written or field.attname in written


def _parents(model: type[Model]) -> Iterator[tuple[type[Model], Any, list[str]]]:
    """The multi-table parents of a model: each with the link to it, and its watched fields."""
    for parent, link in _concrete(model)._meta.parents.items():
        names = dict.fromkeys(name for owner, name in watched if has_rows_of(parent, owner))
        if link is not None and names:
            yield parent, link, list(names)


def has_rows_of(model: type[Model], other: type[Model]) -> bool:
    """Whether each row of ``model`` is one of ``other``, too, whatever proxies they are."""
    return issubclass(model, _concrete(other))


def _concrete(model: type[Model]) -> type[Model]:
    return model._meta.concrete_model or model


class _Layouts(dict[type[Model], Layout]):
    """The layout of each model, made at its first use: until then it may get more fields."""

    def __missing__(self, model: type[Model]) -> Layout:
        names = (name for owner, name in watched if issubclass(model, owner))
        layout = self[model] = Layout(model, names)
        return layout


layouts = _Layouts()
watched: dict[tuple[type[Model], str], None] = {}
"""Every watched field of every model, in the order in which the triggers came."""


def remember(model: type[Model], attnames: Iterable[str]) -> None:
    """From now on, remember what these fields of ``model`` and its subclasses were."""
    watched.update(dict.fromkeys((model, name) for name in attnames))
    layouts.clear()
    if not hasattr(model.from_db, "remembers_rows"):
        model.from_db = _from_db(model.from_db.__func__)  # type: ignore[method-assign,attr-defined]
        model.refresh_from_db = _refresh(model.refresh_from_db)  # type: ignore[method-assign]


def _from_db(original: Callable[..., Any]) -> Any:
    @functools.wraps(original)
    def from_db(cls: Any, db: Any, field_names: Any, values: Any, **options: Any) -> Any:
        if options:  # fetch_mode, since Django 6.1
            new = original(cls, db, field_names, values, **options)
        else:
            new = original(cls, db, field_names, values)
        if open_fates:
            layouts[cls].keep_loaded(new, values)
        else:
            new._state.wechat_was = values
        return new

    from_db.remembers_rows = True  # type: ignore[attr-defined]
    return classmethod(from_db)  # type: ignore[arg-type]


def _refresh(original: Callable[..., Any]) -> Any:
    @functools.wraps(original)
    def refresh_from_db(
        self: Any, using: Any = None, fields: Any = None, *args: Any, **options: Any
    ) -> None:
        fields = None if fields is None else list(fields)
        original(self, using, fields, *args, **options)
        layouts[type(self)].keep_refreshed(self, fields)

    return refresh_from_db
