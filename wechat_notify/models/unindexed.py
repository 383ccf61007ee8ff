"""Conditions for rows that are found by something better."""

from typing import Any

from django.db.models import Func
from django.db.models.sql.compiler import SQLCompiler


class Unindexed(Func):
    """The value of a column, by which SQLite looks no rows up. On other databases, the column.

    Without statistics, which only ANALYZE collects, SQLite takes the rows of one status to be ten,
    and would rather read all of them than a hundred by their keys.
    """

    template = "%(expressions)s"
    arity = 1

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> Any:
        # A plus of one operand: SQLite's own way to say so.
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)
