"""From the commit to WeChat: messages for one person each, now and then, in a site that is idle."""

import json
import random
import time
import urllib.request
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import transaction

from ..tasks import ACCOUNT, Stopwatch, Task, Workload
from .request import call
from .statements import truncate_the_log

PATIENCE = 60.0


class Arrival:
    def __init__(self) -> None:
        accounts: Any = settings.WECHAT_NOTIFY["ACCOUNTS"]
        self._url = f"{accounts[ACCOUNT]['API_BASE']}/moments"
        truncate_the_log()  # another run's
        self._wait(1)  # the first message starts whatever sends it

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        delays = []
        ends = time.monotonic() + seconds
        pauses = random.Random(1)
        while time.monotonic() < ends:
            # At random, so that a worker that looks now and then is met at any moment.
            time.sleep(pauses.uniform(0.2, 1.2))
            delays.append(self._wait(len(delays) + 1) * 1000)
        return {"delays_ms": delays}

    def _wait(self, number: int) -> float:
        """Seconds from the commit of one message until WeChat has it."""
        before = len(self._arrivals())
        committed: list[float] = []
        with transaction.atomic():
            # Before the dispatcher's own hook.
            transaction.on_commit(lambda: committed.append(time.monotonic()))
            call(number)
        patience = time.monotonic() + PATIENCE
        while len(found := self._arrivals()) == before:
            if time.monotonic() > patience:
                raise TimeoutError("WeChat has got no message.")
            time.sleep(0.005)
        return found[before] - committed[0]

    def _arrivals(self) -> list[float]:
        with urllib.request.urlopen(self._url, timeout=10) as answer:  # noqa: S310
            times: list[float] = json.load(answer)
        return times


def make(task: Task) -> Workload:
    if task.dispatcher == "celery":
        import_module("benchmarks.waiting.celery_app")
    return Arrival()
