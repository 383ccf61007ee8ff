"""A message's values, of which a table gives each person some of their own."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...placeholders import PersonalData, Readers
from ...types import DataSource
from .table_people import TablePeople, key_of


class TableData(PersonalData):
    """``values`` for everybody, with what the ``table`` has for a person in their place.

    An empty cell leaves what stands in ``values``, which may hold placeholders.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        names: Iterable[str],
        readers: Readers | None,
        table: TablePeople,
    ) -> None:
        super().__init__(values, names, readers=readers)
        self._table = table
        self._sample: dict[str, str] = {}

    @property
    def personal_fields(self) -> list[str]:
        return list(dict.fromkeys([*super().personal_fields, *sorted(self._table.fields)]))

    @property
    def source(self) -> DataSource:
        return self.for_person

    def own_values(self, person: Any) -> Mapping[str, str]:
        return self._table.values.get(key_of(person), self._sample)

    def with_sample(self) -> "TableData":
        """The same, with the first row for people who are not in the table: for a test."""
        data = TableData(self._texts, self._names, self._readers, self._table)
        data._sample = next(iter(self._table.values.values()), {})
        return data
