"""Who runs the engine for a new notification, and when.

A dispatcher is called after the notification's transaction has committed. Whatever it does, the
rows are the truth: a task or a broker that is lost loses no message, because any
``wechat_deliver`` run finds what is due.
"""

import logging
from importlib import import_module
from typing import Any

from django.utils import timezone
from django.utils.module_loading import import_string

from ..conf import settings
from ..exceptions import InvalidSettings
from ..models import Notification, SendLog
from . import engine
from .outbox import database

logger = logging.getLogger(__name__)

# So many messages one queued task sends: big enough to be worth a task, small enough that several
# workers share one notification.
CHUNK = 2_000


class BaseDispatcher:
    """Subclass this and name the class in ``WECHAT_NOTIFY["DISPATCHER"]``."""

    def check(self) -> None:
        """Raise ``ImproperlyConfigured`` when this dispatcher cannot work here.

        Called by ``notify()`` before anything is written, and by the system checks.
        """

    def dispatch(self, notification: Notification) -> None:
        """See to it that the notification's due rows are sent. Runs after the commit.

        What it raises is logged and leaves the rows ``pending`` for the next worker.
        """
        raise NotImplementedError


class WorkerDispatcher(BaseDispatcher):
    """Does nothing: ``wechat_deliver --watch`` workers find the rows."""

    def dispatch(self, notification: Notification) -> None:
        """Nothing to do here."""


class InlineDispatcher(BaseDispatcher):
    """Sends at once, in the caller's process, after the commit. No worker needed.

    At most ``INLINE_LIMIT`` messages, since a web request may be waiting; the rest stays pending
    for ``wechat_deliver``, and the log says so.
    """

    def dispatch(self, notification: Notification) -> None:
        limit = settings.INLINE_LIMIT
        engine.deliver(
            account=notification.template.account, notification_id=notification.pk, limit=limit
        )
        waiting = waiting_rows(notification)
        if waiting:
            logger.warning(
                "Notification %d: %d messages wait for a worker (manage.py wechat_deliver).",
                notification.pk,
                waiting,
            )


class _QueueDispatcher(BaseDispatcher):
    """Hands chunks to a task queue, so that its workers share a big notification."""

    def dispatch(self, notification: Notification) -> None:
        waiting = waiting_rows(notification)
        account = notification.template.account
        for _ in range(0, waiting, CHUNK):
            self.enqueue(
                {"account": account, "notification_id": notification.pk, "limit": CHUNK},
                notification,
            )

    def enqueue(self, arguments: dict[str, Any], notification: Notification) -> None:
        raise NotImplementedError


class TasksDispatcher(_QueueDispatcher):
    """Django's Tasks framework: ``django.tasks`` from 6.0, the django-tasks backport before.

    A notification with ``send_at`` runs then where the backend supports deferring; elsewhere it
    is left to ``wechat_deliver``.
    """

    TASK_MODULE = "wechat_notify.delivery.django_task"

    def check(self) -> None:
        self._task()

    def _task(self) -> Any:
        try:
            return import_module(self.TASK_MODULE).deliver_chunk
        except ImportError as error:
            raise InvalidSettings(
                "TasksDispatcher needs Django 6.0, or the django-tasks package on Django 5.2: "
                'pip install "django-wechat-notify[tasks]".'
            ) from error

    def enqueue(self, arguments: dict[str, Any], notification: Notification) -> None:
        task = self._task()
        if notification.send_at is not None and notification.send_at > timezone.now():
            if not task.get_backend().supports_defer:
                logger.warning(
                    "Notification %d is due later and the task backend cannot defer: "
                    "it waits for manage.py wechat_deliver.",
                    notification.pk,
                )
                return
            task = task.using(run_after=notification.send_at)
        task.enqueue(**arguments)


class CeleryDispatcher(_QueueDispatcher):
    """Celery: the task is ``wechat_notify.deliver``, found by ``app.autodiscover_tasks()``."""

    TASK_NAME = "wechat_notify.deliver"

    def check(self) -> None:
        self._app()

    def _app(self) -> Any:
        try:
            return import_module("celery").current_app
        except ImportError as error:
            raise InvalidSettings(
                'CeleryDispatcher needs Celery: pip install "django-wechat-notify[celery]".'
            ) from error

    def enqueue(self, arguments: dict[str, Any], notification: Notification) -> None:
        self._app().send_task(self.TASK_NAME, kwargs=arguments, eta=notification.send_at)


def waiting_rows(notification: Notification) -> int:
    """Rows of this notification that still wait to be sent."""
    logs = SendLog.objects.using(database().alias)
    return logs.waiting().filter(notification=notification).count()


def get_dispatcher() -> BaseDispatcher:
    """The configured dispatcher, checked. ``InvalidSettings`` names what is wrong with it."""
    path = settings.DISPATCHER
    try:
        dispatcher = import_string(path)()
    except (ImportError, TypeError) as error:
        raise InvalidSettings(
            f'WECHAT_NOTIFY["DISPATCHER"]: {path!r} cannot be used: {error}'
        ) from error
    if not isinstance(dispatcher, BaseDispatcher):
        raise InvalidSettings(f'WECHAT_NOTIFY["DISPATCHER"]: {path!r} is not a BaseDispatcher.')
    dispatcher.check()
    return dispatcher
