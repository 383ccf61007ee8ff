"""The database that the tests run on: for the processes that they start, and as it refuses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
        return f"sqlite:///{where}/site.sqlite3"
    name = connection.settings_dict["NAME"]
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


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
