"""Text that WeChat or a caller's code made up, where a capital is another letter."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField):  # type: ignore[type-arg]
    """A ``CharField`` that is equal only to the very same text, on every database.

    MariaDB and MySQL by default compare without regard to case, accents and trailing blanks.
    Two openids that differ in one letter's case are two people, though, and so are two keys.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """With the server's binary collation where there is need of one."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            return {**parameters, "collation": _binary_collation(connection)}
        return parameters


def _binary_collation(connection: Any) -> str:
    # The two servers have different names for the one that heeds trailing blanks.
    if connection.mysql_is_mariadb:
        return "utf8mb4_nopad_bin"
    # MySQL before 8.0.17 has none, only the one that does not.
    return "utf8mb4_0900_bin" if connection.mysql_version >= (8, 0, 17) else "utf8mb4_bin"
