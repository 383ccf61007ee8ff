"""The priority of a message for which none was given: by the number of its recipients."""

from collections.abc import Sized
from itertools import chain, islice
from typing import Any

from django.db.models import Model, QuerySet

from ..models import Notification
from .recipients import is_plain, where_written

Priority = Notification.Priority

NORMAL_MOST = 100
"""A message to more recipients than these is BULK."""
LOOKED_AT = NORMAL_MOST + 1


def priority_by_number(users: Any) -> tuple[Priority, Any]:
    """NORMAL, or BULK for many ``users``; and ``users`` again, to go on with.

    Looks at no more of them than it takes to know. That much of an iterator is read, and of a
    QuerySet so many keys.
    """
    if isinstance(users, str | Model):
        return Priority.NORMAL, users
    if isinstance(users, QuerySet):
        number = _number_in(where_written(users))
    elif isinstance(users, Sized):
        number = len(users)
    else:
        try:
            iterator = iter(users)
        except TypeError:  # who writes the rows says what is wrong with it
            return Priority.NORMAL, users
        first = list(islice(iterator, LOOKED_AT))
        number, users = len(first), chain(first, iterator)
    return Priority.BULK if number > NORMAL_MOST else Priority.NORMAL, users


def _number_in(rows: Any) -> int:
    """How many rows, up to so many as are looked at. No COUNT, which would read all."""
    if is_plain(rows) and rows._result_cache is None:
        rows = rows.order_by().values_list("pk", flat=True)
    return len(rows[:LOOKED_AT])
