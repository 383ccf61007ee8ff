"""A web process: now and then a message for one person, while a worker sends to a crowd."""

import random
import time
from typing import Any

from django.db import connection

from wechat_notify.services import notify

from ..tasks import TEMPLATE_NAME, URL, VALUES, Stopwatch, Task, Workload

EVERY = (0.3, 0.9)


class Passing:
    """``run`` finds when each message was committed, by CLOCK_MONOTONIC."""

    def __init__(self, way: str) -> None:
        self._prefix = f"oUrgent{way}"
        self._chance = random.Random(20261126)
        connection.ensure_connection()

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        committed: dict[str, float] = {}
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(self._chance.uniform(*EVERY))
            openid = f"{self._prefix}{len(committed):0{28 - len(self._prefix)}d}"
            notify(openid, TEMPLATE_NAME, VALUES, url=URL)
            committed[openid] = time.monotonic()
        return {"committed": committed}


def make(task: Task) -> Workload:
    return Passing(task.way)
