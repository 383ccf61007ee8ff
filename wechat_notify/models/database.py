"""The database that the app's rows are written to."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import Error, InterfaceError, OperationalError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet

from .sendlog import SendLog

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
Row = TypeVar("Row", bound=Model)

DATABASE_TROUBLE = (OperationalError, InterfaceError)
"""Raised by a database that restarts, a deadlock or a locked SQLite file. Trying again can help."""

# How long a verb is repeated, and the pauses between.
CONFLICT_SECONDS = 10.0
CONFLICT_WAIT_FIRST = 0.02
CONFLICT_WAIT_MOST = 0.5

# A deadlock, a lock that was not to be had in time, a row that changed since it was read.
MYSQL_CONFLICTS = {1213, 1205, 1020}
# A deadlock, and a transaction that cannot be put in order with another one.
POSTGRESQL_CONFLICTS = {"40P01", "40001"}


def database() -> BaseDatabaseWrapper:
    """The connection that send-log rows are written through."""
    return connections[router.db_for_write(SendLog)]


def close_old_connections() -> None:
    """As Django's function, but a transaction is left alone, such as that of a test case."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def read_past_snapshot(rows: QuerySet[Row]) -> Row | None:
    """The first of ``rows`` as of now, on databases whose transactions read a snapshot.

    Under a shared lock on MariaDB and MySQL: there an INSERT that met the row already holds one,
    and two transactions that ask for an exclusive one each wait for the other.
    """
    connection = connections[rows.db]
    if connection.vendor != "mysql":
        return rows.select_for_update().first()
    sql, params = rows[:1].query.get_compiler(using=rows.db).as_sql()
    return next(iter(rows.raw(f"{sql} LOCK IN SHARE MODE", params)), None)


def repeats_on_conflict(verb: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Call ``verb`` again where the database has undone its transaction and asks for another try.

    ``verb`` owns its transaction, and its arguments can be read more than once. Within a caller's
    transaction the error is raised: the database has undone the caller's part, too.
    """

    @wraps(verb)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        connection, ends, most = database(), None, CONFLICT_WAIT_FIRST
        while True:
            try:
                return verb(*args, **kwargs)
            except Error as error:
                # From the first failure on: waiting for a lock may have taken a minute already.
                ends = ends or time.monotonic() + CONFLICT_SECONDS
                if connection.in_atomic_block or not _is_conflict(connection, error):
                    raise
                if time.monotonic() > ends:
                    raise
            # At random, so that those who met do not meet again.
            time.sleep(random.uniform(0, most))  # noqa: S311 - no secret
            most = min(2 * most, CONFLICT_WAIT_MOST)

    return call


def _is_conflict(connection: BaseDatabaseWrapper, error: Error) -> bool:
    if connection.vendor == "mysql":
        return bool(error.args) and error.args[0] in MYSQL_CONFLICTS
    if connection.vendor == "postgresql":
        cause = error.__cause__
        # psycopg's name, and psycopg2's.
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        return state in POSTGRESQL_CONFLICTS
    return isinstance(error, OperationalError) and "locked" in str(error)
