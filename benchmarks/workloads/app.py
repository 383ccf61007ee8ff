"""This project: rows claimed, sent over its pool, results written, with default settings."""

import threading
from typing import Any

from wechat_notify.delivery import engine
from wechat_notify.models import OpenIDBinding
from wechat_notify.services import notify

from ..tasks import TEMPLATE_NAME, URL, VALUES, WIDTH, Task, Workload


class App:
    def __init__(self, recipients: int) -> None:
        if recipients:
            notify(OpenIDBinding.objects.filter(pk__lte=recipients), TEMPLATE_NAME, VALUES, url=URL)
        engine.deliver(limit=4 * WIDTH)

    def run(self, seconds: float) -> dict[str, Any]:
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            report = engine.deliver(stop=stop)
        finally:
            timer.cancel()
        return {"messages": report.sent, "all": dict(report.counts)}


def make(task: Task) -> Workload:
    return App(task.recipients)
