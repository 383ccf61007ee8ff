"""One way of writing a notification's rows."""

import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import QuerySet

from wechat_notify.models import SendLog
from wechat_notify.services import notify

from ..tasks import TEMPLATE_NAME, URL, VALUES, Stopwatch, Task, Workload, openid
from .statements import bare_insert_select, empty_the_log, plain_bulk_create


def users(recipients: int) -> QuerySet[Any]:
    return get_user_model()._default_manager.filter(pk__lte=recipients)


def queryset(recipients: int) -> None:
    """A QuerySet of users with shared data: written by the database itself."""
    notify(users(recipients), TEMPLATE_NAME, VALUES, url=URL)


def openids(recipients: int) -> None:
    """A generator of openids with shared data: streamed in chunks."""
    stream = (openid(number) for number in range(1, recipients + 1))
    notify(stream, TEMPLATE_NAME, VALUES, url=URL)


def function(recipients: int) -> None:
    """A QuerySet of users and data of each one's own: a function of the user, checked for each."""

    def own(user: Any) -> dict[str, str]:
        return {**VALUES, "character_string4": f"SN{user.pk:020d}"}

    notify(users(recipients), TEMPLATE_NAME, own, url=URL)


WAYS: dict[str, Callable[[int], None]] = {
    "bare": bare_insert_select,
    "queryset": queryset,
    "bulk_create": plain_bulk_create,
    "openids": openids,
    "function": function,
}


class Enqueue:
    def __init__(self, way: str, recipients: int) -> None:
        self._way = WAYS[way]
        self._recipients = recipients
        self._way(1)  # The first call of a process imports what the others find.
        empty_the_log()
        connection.ensure_connection()

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        begun = time.monotonic()
        self._way(self._recipients)
        taken = time.monotonic() - begun
        rows = SendLog.objects.filter(status=SendLog.Status.PENDING).count()
        if rows != self._recipients:
            raise RuntimeError(f"{self._way.__name__} wrote {rows} of {self._recipients} rows")
        return {"seconds": taken}


def make(task: Task) -> Workload:
    return Enqueue(task.way, task.recipients)
