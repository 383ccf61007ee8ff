"""The conditions of a rule as rows of inputs: a field, how it is compared, and with what."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ...admin.parts.filters import NUMBER
from ..allowed import Allowed, AllowedField
from ..conditions import MOST, OPERATORS, Op
from ..kinds import Kind
from .span_and_value import ValueField

COUNT = "tests"
"""The hidden input with the number of rows."""
PARTS = ("field", "op", "value")
WITHOUT_VALUE = (Op.EMPTY, Op.NOT_EMPTY)
OF_DATES = {Op.MORE: _("is later than"), Op.LESS: _("is earlier than")}
"""How the same is said of dates and times."""

Row = Mapping[str, str]
Related = Callable[[AllowedField], list[tuple[str, str]] | None]


def row_name(number: int) -> str:
    """The name of a row, before that of its inputs."""
    return f"test-{number}"


def rows_in(given: Mapping[str, Any]) -> list[Row]:
    """The rows that a form sent."""
    count = str(given.get(COUNT, ""))
    rows = min(int(count), MOST) if NUMBER.fullmatch(count) else 0
    return [
        {part: str(given.get(f"{row_name(number)}-{part}", "")) for part in PARTS}
        for number in range(rows)
    ]


def rows_data(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the inputs of these rows would send."""
    data = {COUNT: str(len(rows))}
    for number, row in enumerate(rows):
        data |= {f"{row_name(number)}-{part}": str(row.get(part, "")) for part in PARTS}
    return data


class ConditionForm(forms.Form):
    """One row. ``related`` gives the choices of a field that refers to other objects."""

    def __init__(self, model: Allowed | None, row: Row, number: int, related: Related) -> None:
        super().__init__(initial=dict(row), prefix=row_name(number))
        fields = list(model.fields.values()) if model is not None else []
        found = model.fields.get(row["field"]) if model is not None else None
        choices = [("", "---------"), *((one.path, one.label) for one in fields)]
        self.fields["field"] = forms.ChoiceField(label=_("Field"), choices=choices)
        self.fields["op"] = forms.ChoiceField(label=_("Comparison"), choices=list(_ops(found)))
        if row["op"] not in WITHOUT_VALUE:
            chosen = related(found) if found is not None else None
            self.fields["value"] = ValueField(
                found, given=row["value"], related=chosen, label=_("Value")
            )


def _ops(field: AllowedField | None) -> Iterator[tuple[str, Any]]:
    """What can be asked of the field."""
    kind = field.kind if field is not None else Kind.TEXT
    dated = kind in (Kind.DATE, Kind.DATETIME, Kind.TIME)
    for op in OPERATORS[kind]:
        yield op.value, OF_DATES.get(op, op.label) if dated else op.label


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """A row as the page shows it, with what is wrong with it."""

    number: int
    form: ConditionForm
    error: str = ""

    @property
    def name(self) -> str:
        return row_name(self.number)


def as_test(row: Row) -> dict[str, str]:
    """The row as a rule keeps it."""
    kept = {"field": row["field"], "op": row["op"]}
    return kept if row["op"] in WITHOUT_VALUE else {**kept, "value": row["value"]}
