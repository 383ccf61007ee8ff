"""Hands messages to Celery."""

from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from ..exceptions import InvalidSettings
from .queue import QueueDispatcher


class CeleryDispatcher(QueueDispatcher):
    """Celery: the task is ``wechat_notify.deliver``, found by ``app.autodiscover_tasks()``.

    Option ``queue``: the name of a Celery queue, by default the one of Celery's own settings. The
    same task without arguments delivers everything that is due. An entry in Celery beat's schedule
    can run it, to send what is left after a broker lost a task or a worker was killed.
    """

    # A worker holds a task with an ETA unacknowledged until then. RabbitMQ closes the channel of
    # one that does so for 15 (since 3.8.17: 30) minutes, and Redis hands the task to another
    # worker after an hour (Celery's guide, "ETA and Countdown").
    horizon = timedelta(minutes=10)

    TASK_MODULE = "wechat_notify.tasks"

    def check(self) -> None:
        self._task()

    @property
    def runs_at_once(self) -> bool:
        return bool(self._task().app.conf.task_always_eager)

    def can_defer(self) -> bool:
        return not self.runs_at_once  # whatever their ETA

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        self._task().apply_async(kwargs=arguments, eta=run_after, queue=self.queue_name)

    def _task(self) -> Any:
        try:
            return import_module(self.TASK_MODULE).deliver
        except ImportError as error:
            raise InvalidSettings(
                'CeleryDispatcher needs Celery: pip install "django-wechat-notify[celery]".'
            ) from error
