"""A site that notifies one person now and then, while a worker of its own idles."""

import random
import time
from pathlib import Path
from typing import Any

from django.db import transaction

from wechat_notify.services import notify

from ..api import Api
from ..tasks import TEMPLATE_NAME, VALUES, Stopwatch, Task, Workload, openid

# The worker may be anywhere in its interval when the next message comes.
PAUSE_SECONDS = (0.7, 1.7)
POLL_SECONDS = 0.02
LOST_SECONDS = 60


class Notifier:
    """``recipients`` people, one after another. The first messages find the worker starting."""

    def __init__(self, task: Task) -> None:
        self._api = Api(task.api_base, "", Path())
        self._recipients = task.recipients
        for number in range(3):
            self._delay(number)

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        """``delays``: the seconds from each commit until WeChat was called."""
        delays = [self._delay(number) for number in range(self._recipients)]
        return {"messages": len(delays), "delays": delays}

    def _delay(self, number: int) -> float:
        time.sleep(random.uniform(*PAUSE_SECONDS))
        self._api.take_counts()
        commits: list[float] = []
        with transaction.atomic():
            # Before notify()'s own hook, which wakes the worker.
            transaction.on_commit(lambda: commits.append(time.monotonic()))
            notify(openid(number), TEMPLATE_NAME, VALUES)
        while time.monotonic() < commits[0] + LOST_SECONDS:
            counts = self._api.take_counts()
            if counts["messages"]:
                return float(counts["last_at"]) - commits[0]
            time.sleep(POLL_SECONDS)
        raise RuntimeError("The worker has sent nothing.")


def make(task: Task) -> Workload:
    return Notifier(task)
