"""What kind of value a field of a model has, as rules compare it."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    NUMBER = "number", _("number")
    DATE = "date", _("date")
    DATETIME = "datetime", _("date and time")
    TIME = "time", _("time of day")
    BOOLEAN = "boolean", _("yes or no")
    CHOICE = "choice", _("one of several")
    TEXT = "text", _("text")
    RELATED = "related", _("an object")


# The first that fits; a DateTimeField is a DateField, too.
_KINDS: tuple[tuple[type[Any], Kind], ...] = (
    (models.BooleanField, Kind.BOOLEAN),
    (models.DateTimeField, Kind.DATETIME),
    (models.DateField, Kind.DATE),
    (models.TimeField, Kind.TIME),
    (models.IntegerField, Kind.NUMBER),
    (models.DecimalField, Kind.NUMBER),
    (models.FloatField, Kind.NUMBER),
    (models.CharField, Kind.TEXT),
    (models.TextField, Kind.TEXT),
    (models.UUIDField, Kind.TEXT),
    (models.GenericIPAddressField, Kind.TEXT),
)


def kind_of(field: "models.Field[Any, Any]") -> Kind:
    """The kind of a column's values. Raises ``ValueError`` for what no rule can compare."""
    if field.is_relation:
        return Kind.RELATED
    if isinstance(field, models.FileField):
        raise ValueError("is a file.")
    if field.choices:
        return Kind.CHOICE
    for type_, kind in _KINDS:
        if isinstance(field, type_):
            return kind
    raise ValueError(f"has values that rules cannot compare ({type(field).__name__}).")
