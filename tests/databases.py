"""The database that the tests run on, for the processes that they start."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.db import connection


def database_url(where: Path) -> str:
    """The test database of the server that DATABASE_URL names, or else a SQLite file.

    On a server, the test needs ``transactional_db``, so that other processes see its rows and the
    next test sees none of theirs. SQLite in memory is nobody else's, hence a file.
    """
    if connection.vendor == "sqlite":
        return f"sqlite:///{where}/site.sqlite3"
    name = connection.settings_dict["NAME"]
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
