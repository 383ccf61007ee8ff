"""One of the workers that send to a crowd: the app's engine, watched."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection

from wechat_notify.sending import engine
from wechat_notify.sending.claims import Claims
from wechat_notify.sending.outbox import Claimed
from wechat_notify.services import notify

from ..tasks import TEMPLATE_NAME, URL, VALUES, Stopwatch, Task, Workload
from .enqueue import users
from .memory import resident_mb
from .statements import empty_the_log

SIZES = """
    SELECT relname, pg_relation_size(oid) FROM pg_class
    WHERE relname = 'wechat_notify_sendlog' OR oid IN (
        SELECT indexrelid FROM pg_index WHERE indrelid = 'wechat_notify_sendlog'::regclass)"""


class Worker:
    """Writes the notification where asked to, and measures its table before anything is sent.

    ``claims`` in what it found: the moment of each, the seconds it took, and the MB of memory
    that the process then held.
    """

    def __init__(self, recipients: int) -> None:
        self._sizes: dict[str, int] = {}
        self._claims: list[tuple[float, float, float]] = []
        if recipients:
            empty_the_log()
            notify(users(recipients), TEMPLATE_NAME, VALUES, url=URL)
            self._sizes = _sizes()
        engine.deliver(limit=500)

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        take = Claims.take
        Claims.take = self._watching(take)  # type: ignore[method-assign]
        report = engine.deliver(stop=stop)
        Claims.take = take  # type: ignore[method-assign]
        timer.cancel()
        return {
            "messages": report.sent,
            "claims": self._claims,
            "sizes": self._sizes,
            "sizes_after": _sizes() if self._sizes else {},
        }

    def _watching(self, take: Callable[..., list[Claimed]]) -> Callable[..., list[Claimed]]:
        """The same, noting what each claim costs, with all its statements."""

        def watched(*arguments: Any) -> list[Claimed]:
            begun = time.monotonic()
            found = take(*arguments)
            self._claims.append((begun, time.monotonic() - begun, resident_mb()))
            return found

        return watched


def _sizes() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(SIZES)
        return dict(cursor.fetchall())


def make(task: Task) -> Workload:
    return Worker(task.recipients)
