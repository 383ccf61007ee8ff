"""This project: rows claimed, sent over its pool, results written, with default settings."""

import threading
from typing import Any

from wechat_notify.models import OpenIDBinding
from wechat_notify.sending import engine
from wechat_notify.services import notify

from ..tasks import TEMPLATE_NAME, URL, VALUES, WIDTH, Stopwatch, Task, Workload


class App:
    def __init__(self, recipients: int) -> None:
        if recipients:
            notify(OpenIDBinding.objects.filter(pk__lte=recipients), TEMPLATE_NAME, VALUES, url=URL)
        engine.deliver(limit=4 * WIDTH)

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        """Send until time is up. Handing claimed rows back afterwards is not sending."""
        stop = threading.Event()
        sent = 0

        def written(report: engine.Report) -> None:
            nonlocal sent
            if not stop.is_set():
                sent = report.sent
                stopwatch.lap()

        timer = threading.Timer(seconds, stop.set)
        timer.start()
        engine.deliver(stop=stop, progress=written)
        timer.cancel()
        return {"messages": sent}


def make(task: Task) -> Workload:
    return App(task.recipients)
