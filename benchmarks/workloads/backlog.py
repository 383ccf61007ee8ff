"""A worker with a crowd to send to, or with nothing: started for everything, as it stays."""

import threading
from typing import Any

from wechat_notify.dispatchers.worker import Worker
from wechat_notify.models import OpenIDBinding
from wechat_notify.sending import engine
from wechat_notify.services import notify

from ..tasks import TEMPLATE_NAME, URL, VALUES, WIDTH, Stopwatch, Task, Workload
from .statements import truncate_the_log


class Backlog:
    def __init__(self, recipients: int) -> None:
        truncate_the_log()
        crowd = OpenIDBinding.objects.filter(pk__lte=recipients)
        notify(crowd, TEMPLATE_NAME, VALUES, url=URL)
        engine.deliver(limit=4 * WIDTH)

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        worker = Worker()
        timer = threading.Timer(seconds, worker.stop.set)
        timer.start()
        worker.watch(interval=1.0)
        timer.cancel()
        return {"messages": worker.report.sent}


def make(task: Task) -> Workload:
    return Backlog(task.recipients)
