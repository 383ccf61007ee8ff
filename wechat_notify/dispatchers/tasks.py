"""Hands messages to Django's Tasks framework."""

from collections.abc import Iterable
from datetime import datetime
from importlib import import_module
from typing import Any

from django.core import checks

from ..exceptions import InvalidSettings
from .queue import QueueDispatcher


class TasksDispatcher(QueueDispatcher):
    """Django's Tasks framework: ``django.tasks`` from 6.0, the django-tasks backport before.

    Option ``queue``: one of the ``QUEUES`` of the ``TASKS`` setting. Messages that are due later
    are queued for that time if the task backend can defer tasks. If it cannot, as the immediate
    backend, ``wechat_deliver`` must send them.
    """

    TASK_MODULE = "wechat_notify.dispatchers.django_task"

    def check(self) -> None:
        queues = self._task().get_backend().queues
        if self.queue_name is not None and queues and self.queue_name not in queues:
            raise self._wrong_option("queue", f"one of the QUEUES in TASKS ({', '.join(queues)})")

    @property
    def runs_at_once(self) -> bool:
        return _is_a(self._task().get_backend(), "ImmediateBackend")

    def check_settings(self) -> Iterable[checks.CheckMessage]:
        if self.runs_at_once:
            yield checks.Warning(
                "TasksDispatcher with the ImmediateBackend of TASKS: each request waits for "
                "WeChat, and what is to be tried again waits for manage.py wechat_deliver.",
                hint="Use a task backend with workers of its own, such as django-tasks-db, or the "
                "default dispatcher, which needs none.",
                id="wechat_notify.W060",
            )
        if _is_a(self._task().get_backend(), "DummyBackend"):
            yield checks.Warning(
                "TasksDispatcher with the DummyBackend of TASKS: nothing is sent.",
                hint="Use a task backend that runs its tasks.",
                id="wechat_notify.W061",
            )

    def can_defer(self) -> bool:
        return bool(self._task().get_backend().supports_defer)

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        task = self._task().using(queue_name=self.queue_name, run_after=run_after)
        task.enqueue(**arguments)

    def _task(self) -> Any:
        try:
            return import_module(self.TASK_MODULE).deliver
        except ImportError as error:
            raise InvalidSettings(
                "TasksDispatcher needs Django 6.0, or the django-tasks package on Django 5.2: "
                'pip install "django-wechat-notify[tasks]".'
            ) from error


def _is_a(backend: Any, name: str) -> bool:
    """Whether it is Django's backend of this name, the backport's, or made of either."""
    return any(one.__name__ == name for one in type(backend).__mro__)
