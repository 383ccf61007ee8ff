"""The databases that children work in: a SQLite file, and a database of its own on PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from . import processes
from .tasks import Task

SERVER = "postgres://postgres@127.0.0.1:5432/"
NAME = "wechat_notify_bench"


def sqlite(folder: Path) -> str:
    """The URL of a SQLite file with Django's defaults: a rollback journal, full synchronisation."""
    return f"sqlite:///{folder}/benchmark.sqlite3"


def shared(url: str) -> str:
    """The same database for processes and threads that write side by side.

    On SQLite a transaction that reads before it writes fails otherwise when another one commits.
    """
    return f"{url}?transaction_mode=IMMEDIATE&timeout=20" if url.startswith("sqlite") else url


@contextmanager
def postgresql(name: str = NAME) -> Iterator[str]:
    """The URL of an empty database on the server of DATABASE_URL; "" if none answers there."""
    server = os.environ.get("DATABASE_URL") or SERVER
    parts = urlsplit(server)
    if not parts.scheme.startswith(("postgres", "psql")):
        server, parts = SERVER, urlsplit(SERVER)
    try:
        connection = psycopg.connect(
            urlunsplit(parts._replace(scheme="postgresql", path="/postgres")),
            autocommit=True,
            connect_timeout=5,
        )
    except psycopg.OperationalError as error:
        print(f"PostgreSQL is left out, it does not answer: {str(error).splitlines()[0]}")
        yield ""
        return
    with connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _widest() -> str:
    """The dispatcher whose settings install most apps."""
    return "tasks" if find_spec("django_tasks_db") else "worker"


def populate(database: str, people: int) -> None:
    """Migrate an empty database and fill it with so many people and one template."""
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
        # With the tables of Django's Tasks, if they can be installed.
        env=processes.environment(database, None, dispatcher=_widest()),
        check=True,
    )
    processes.run_one(Task("population", database=database, recipients=people))
