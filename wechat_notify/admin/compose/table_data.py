"""A message's values, of which each person may have some of their own: from a table, or from an
earlier message."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...placeholders import PersonalData, Readers
from ...types import DataSource
from .earlier_values import KeptValues
from .table_people import TablePeople, key_of


class TableData(PersonalData):
    """``values`` for everybody, with what the ``table`` has for a person in their place.

    An empty cell leaves what stands in ``values``, which may hold placeholders. Where that is empty
    too, the person's own value of the earlier message is ``kept``.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        names: Iterable[str],
        readers: Readers | None,
        table: TablePeople | None = None,
        kept: KeptValues | None = None,
    ) -> None:
        super().__init__(values, names, readers=readers)
        self._table = table
        self._kept = kept
        self._empty = frozenset(field for field, text in values.items() if not text)
        self._is_sample = False

    @property
    def personal_fields(self) -> list[str]:
        more = sorted(self._table.fields) if self._table is not None else []
        return list(dict.fromkeys([*super().personal_fields, *more, *sorted(self._kept_fields)]))

    @property
    def _kept_fields(self) -> frozenset[str]:
        return self._empty & self._kept.fields if self._kept is not None else frozenset()

    @property
    def source(self) -> DataSource:
        return self.for_person if self.personal_fields else super().source

    def own_values(self, person: Any) -> Mapping[str, str]:
        return {**self._earlier(person), **self._cells(person)}

    def _earlier(self, person: Any) -> Mapping[str, str]:
        fields = self._kept_fields
        if self._kept is None or not fields:
            return {}
        found = self._kept.sample(person) if self._is_sample else self._kept.of(person)
        return {field: text for field, text in found.items() if field in fields and text}

    def _cells(self, person: Any) -> Mapping[str, str]:
        if self._table is None:
            return {}
        values = self._table.values
        first = next(iter(values.values()), {}) if self._is_sample else {}
        return values.get(key_of(person), first)

    def with_sample(self) -> "TableData":
        """The same, with the first person's own values for people who have none: for a test."""
        data = TableData(self._texts, self._names, self._readers, self._table, self._kept)
        data._is_sample = True
        return data
