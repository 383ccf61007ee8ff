"""What a web request does for one person's message: the writes alone, and with what sends it.

Each way is measured in turn with the bare writes, so that what the machine does besides hits both.
"""

import statistics
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.services import notify

from ..tasks import ACCOUNT, TEMPLATE_NAME, URL, VALUES, Stopwatch, Task, Workload, message
from .statements import truncate_the_log

# Between two requests, and the most of them.
PAUSE = 0.01
MOST = 300


def bare_writes(number: int) -> None:
    """The rows that ``notify()`` writes, as a site of its own would write them."""
    template = MessageTemplate.objects.get(account=ACCOUNT, name=TEMPLATE_NAME)
    binding = OpenIDBinding.objects.get(account=ACCOUNT, user_id=number)
    data = {name: {"value": value} for name, value in VALUES.items()}
    notification = Notification.objects.create(template=template, data=data, url=URL)
    SendLog.objects.create(
        notification=notification,
        account=ACCOUNT,
        user_id=number,
        binding=binding,
        openid=binding.openid,
        # Not for the workers of this benchmark.
        status=SendLog.Status.CANCELLED,
        due_at=timezone.now(),
    )


def bare_thread(number: int) -> None:
    """The same, and the call of WeChat in a thread of its own, as the yardstick."""
    bare_writes(number)
    accounts: Any = settings.WECHAT_NOTIFY["ACCOUNTS"]
    url = f"{accounts[ACCOUNT]['API_BASE']}/cgi-bin/message/template/send?access_token=a"

    def post() -> None:
        requests.post(url, json=message(number), timeout=(5, 10))

    transaction.on_commit(lambda: threading.Thread(target=post, daemon=True).start())


def call(number: int) -> None:
    """``notify()``, and whatever the dispatcher does."""
    user = get_user_model()(pk=number)
    notify(user, TEMPLATE_NAME, VALUES, url=URL)


WAYS: dict[str, Callable[[int], None]] = {"thread": bare_thread, "notify": call}


class Request:
    """``calls`` messages in one transaction, again and again."""

    def __init__(self, way: str, calls: int) -> None:
        self._way = WAYS[way]
        self._calls = calls
        self._last = 0
        truncate_the_log()  # another run's
        for one in (bare_writes, self._way):
            self._transaction(one)

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        bare, whole = [], []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and len(whole) < MOST:
            bare.append(self._transaction(bare_writes))
            time.sleep(PAUSE)
            whole.append(self._transaction(self._way))
            time.sleep(PAUSE)
        inside, after = self._queries()
        return {
            "bare_ms": statistics.median(took for took, _commit in bare) * 1000,
            "added_ms": statistics.median(a[0] - b[0] for a, b in zip(whole, bare, strict=True))
            * 1000,
            "worst_ms": max(took for took, _commit in whole) * 1000,
            "commit_ms": statistics.median(commit for _took, commit in whole) * 1000,
            "bare_commit_ms": statistics.median(commit for _took, commit in bare) * 1000,
            "inside": inside,
            "after": after,
        }

    def _transaction(self, write: Callable[[int], None]) -> tuple[float, float]:
        """How long it takes, and how much of that is the commit with all that follows."""
        begun = time.perf_counter()
        with transaction.atomic():
            for _ in range(self._calls):
                self._last = self._last % 1_000 + 1
                write(self._last)
            written = time.perf_counter()
        ended = time.perf_counter()
        return ended - begun, ended - written

    def _queries(self) -> tuple[int, int]:
        """How many statements one message costs within the transaction, and after it."""
        inside, everything = CaptureQueriesContext(connection), CaptureQueriesContext(connection)
        with everything, transaction.atomic(), inside:
            self._way(1)
        # SQLite's may be BEGIN IMMEDIATE.
        ends = sum(query["sql"].startswith(("BEGIN", "COMMIT")) for query in everything)
        return len(inside), len(everything) - len(inside) - ends


def make(task: Task) -> Workload:
    if task.dispatcher == "celery":
        import_module("benchmarks.waiting.celery_app")
    return Request(task.way, task.recipients)
