"""A process that tells a crowd, and now and then one person while that is being sent."""

import random
import time
from importlib import import_module
from typing import Any

from wechat_notify.models import OpenIDBinding
from wechat_notify.services import notify

from ..tasks import TEMPLATE_NAME, URL, VALUES, Stopwatch, Task, Workload
from .statements import truncate_the_log

EVERY = (0.2, 0.7)
# The last messages are still to arrive when no more are written.
GRACE = 3.0


class Behind:
    """``run`` finds when each message for one person was committed, by CLOCK_MONOTONIC."""

    def __init__(self, people: int) -> None:
        truncate_the_log()  # another run's
        notify(OpenIDBinding.objects.filter(pk__lte=people), TEMPLATE_NAME, VALUES, url=URL)

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        committed: dict[str, float] = {}
        ends = time.monotonic() + seconds
        chance = random.Random(20261126)
        while time.monotonic() < ends:
            time.sleep(chance.uniform(*EVERY))
            openid = f"oUrgent{len(committed):021d}"
            notify(openid, TEMPLATE_NAME, VALUES, url=URL)
            committed[openid] = time.monotonic()
        time.sleep(GRACE)
        return {"committed": committed}


def make(task: Task) -> Workload:
    if task.dispatcher == "celery":
        import_module("benchmarks.waiting.celery_app")
    return Behind(task.recipients)
