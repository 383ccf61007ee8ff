"""How rows are read: from which database, and many of them without loading all."""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model)


class WrittenManager(models.Manager[M]):
    """Reads from the database that rows are written to, unless ``using()`` names another one.

    A router may send reads to a replica, which may not have the newest rows: a new binding would
    not be found, and a message that was just resumed would never be sent.
    """

    def get_queryset(self) -> models.QuerySet[M]:
        rows = super().get_queryset()
        return rows if self._db else rows.using(router.db_for_write(self.model))


def pages_by_key(
    rows: models.QuerySet[Any], size: int, key: Callable[[Any], Any] = attrgetter("pk")
) -> Iterator[list[Any]]:
    """The rows in the order of their primary keys, ``size`` at a time.

    ``key`` finds the primary key in what the QuerySet yields. Instead of ``iterator()``, which on
    MariaDB and MySQL loads all rows at once.
    """
    ordered = rows.order_by("pk")
    page = list(ordered[:size])
    while page:
        yield page
        rest = ordered.filter(pk__gt=key(page[-1]))
        page = list(rest[:size]) if len(page) == size else []
