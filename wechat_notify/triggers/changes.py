"""What ``changes=`` asks for, and whether a save has done it."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, Model

Values = Mapping[str, Any]
"""The values of a row's watched fields, by attname. What is missing in it is not known."""


class Changes:
    """One ``changes=`` of one model.

    ``wanted`` is ``{"status": "paid"}`` (the field becomes that value, also in a new row),
    ``{"status": ("pending", "paid")}`` (that step only), or ``["status"]`` (any change of a row
    that was there before). Of several fields in a dict, all must have their value after the save,
    and at least one has it newly; a step must have been made.
    """

    def __init__(self, model: type[Model], wanted: Mapping[str, Any] | Iterable[str]) -> None:
        if isinstance(wanted, str) or not wanted:
            raise TypeError(
                f'changes must be such as ["status"] or {{"status": …}}, not {wanted!r}.'
            )
        by_name: Mapping[str, Any] = (
            wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted)
        )
        self._any = not isinstance(wanted, Mapping)
        self._wanted = [(_field(model, name), value) for name, value in by_name.items()]
        self.fields = [field for field, _value in self._wanted]

    def made_by(self, was: Values | None, now: Values) -> bool:
        """Whether a row that was so, and is so now, has made them. ``was`` None: it is new."""
        if self._any:
            return was is not None and any(
                differs(field, was, now) for field, _value in self._wanted
            )
        newly = False
        for field, value in self._wanted:
            target = value[1] if _is_step(value) else value
            if not same(field, now.get(field.attname), target):
                return False
            has_changed = was is None or differs(field, was, now)
            if _is_step(value) and not (has_changed and _was(field, was, value[0])):
                return False
            newly = newly or has_changed
        return newly


def differs(field: "Field[Any, Any]", was: Values, now: Values) -> bool:
    """Whether the field's value has changed. It has if it was not known."""
    name = field.attname
    return name not in was or not same(field, was[name], now.get(name))


def same(field: "Field[Any, Any]", one: Any, other: Any) -> bool:
    """Whether two values are the same for this field: an object and its key, "7" and 7."""
    return bool(_plain(field, one) == _plain(field, other))


def _plain(field: Any, value: Any) -> Any:
    if isinstance(value, Model):
        value = getattr(value, field.target_field.attname) if field.is_relation else value.pk
    try:
        return field.to_python(value)
    except (ValidationError, TypeError, ValueError):
        return value


def _was(field: "Field[Any, Any]", was: Values | None, value: Any) -> bool:
    name = field.attname
    return was is not None and name in was and same(field, was[name], value)


def _is_step(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise TypeError(f"changes: {error}.") from error
    if not isinstance(field, Field) or not field.concrete or field.many_to_many:
        raise TypeError(f"changes: {name!r} of {model.__name__} is no column; use m2m_changed.")
    return field
