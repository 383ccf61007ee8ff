"""A column for text that is compared exactly: openids, keys, template IDs."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField):  # type: ignore[type-arg]
    """A ``CharField`` that compares every character exactly, on every database.

    By default MariaDB and MySQL ignore case, accents and trailing blanks. But two openids that
    differ in the case of one letter are two people.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Add a binary collation on MariaDB and MySQL."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            return {**parameters, "collation": _binary_collation(connection)}
        return parameters


def _binary_collation(connection: Any) -> str:
    # The two servers have different names for the one that also compares trailing blanks.
    if connection.mysql_is_mariadb:
        return "utf8mb4_nopad_bin"
    # MySQL before 8.0.17 has only one that ignores them.
    return "utf8mb4_0900_bin" if connection.mysql_version >= (8, 0, 17) else "utf8mb4_bin"
