"""The database that the tests run on: for the processes that they start, and as it refuses."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import OperationalError, connection

CONFLICTS = {
    "sqlite": OperationalError("database is locked"),
    "mysql": OperationalError(1213, "Deadlock found when trying to get lock"),
    "postgresql": OperationalError("deadlock detected"),
}
CONFLICTS["postgresql"].__cause__ = type("DeadlockDetected", (Exception,), {"sqlstate": "40P01"})()


def database_url(where: Path) -> str:
    """The test database of the server that DATABASE_URL names, or else a SQLite file.

    On a server, the test needs ``transactional_db``, so that other processes see its rows and the
    next test sees none of theirs. SQLite in memory is nobody else's, hence a file.
    """
    if connection.vendor == "sqlite":
        return sqlite_url(where)
    name = connection.settings_dict["NAME"]
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def sqlite_url(where: Path) -> str:
    """A SQLite file, with what is in the test database if that is SQLite, too.

    The process that is started then finds its tables there: migrating takes longer than the rest.
    """
    file = where / "site.sqlite3"
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with closing(sqlite3.connect(file)) as copy:
            connection.connection.backup(copy)
    return f"sqlite:///{file}"


@contextmanager
def refusing(times: int, error: Exception | None = None) -> Iterator[list[str]]:
    """The database refuses so many writes; they are collected."""
    refused: list[str] = []

    def refuse(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith(("UPDATE", "INSERT", "DELETE")) and len(refused) < times:
            refused.append(sql)
            raise error or CONFLICTS[connection.vendor]
        return execute(sql, *args)

    with connection.execute_wrapper(refuse):
        yield refused


@contextmanager
def counted_steps() -> Iterator[list[None]]:
    """One entry for each hundred steps that SQLite takes: what queries cost, whatever the clock."""
    steps: list[None] = []
    connection.connection.set_progress_handler(lambda: steps.append(None), 100)
    try:
        yield steps
    finally:
        connection.connection.set_progress_handler(None, 0)
