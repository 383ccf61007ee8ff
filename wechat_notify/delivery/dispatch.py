"""Who runs the engine for a new notification, and when.

A dispatcher is called after the notification's transaction has committed. Whatever it does, the
rows are the truth: a task or a broker that is lost loses no message, because any
``wechat_deliver`` run finds what is due.
"""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.module_loading import import_string

from ..conf import settings
from ..exceptions import InvalidSettings
from ..models import Notification, SendLog
from . import engine
from .breaker import Breaker
from .outbox import database

logger = logging.getLogger(__name__)

# So many messages one queued task sends: big enough to be worth a task, small enough that other
# tasks, and other notifications, get their turn.
CHUNK = 2_000
# So many tasks of one notification are queued at a time, however big it is: each leaves a
# successor as long as there is more. It is also the most workers that share one notification.
FAN_OUT = 16
# The most that a web request waits before the rest is left to workers.
INLINE_SECONDS = 10.0
# A task that finds due messages and may send none of them looks again after this long; sooner
# where the rest is over and another one's probe is about to say whether all may go on.
PATIENCE = timedelta(minutes=1)
PROBE_PATIENCE = timedelta(seconds=10)


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

    def dispatch_all(self, notifications: Sequence[Notification]) -> None:
        """The same for several at once, such as those that a resend has made."""
        for notification in notifications:
            self.dispatch(notification)


class WorkerDispatcher(BaseDispatcher):
    """Does nothing: ``wechat_deliver --watch`` workers find the rows."""

    def dispatch(self, notification: Notification) -> None:
        """Nothing to do here."""


class InlineDispatcher(BaseDispatcher):
    """Sends at once, in the caller's process, after the commit. No worker needed.

    At most ``INLINE_LIMIT`` messages and no new one after ten seconds, since a web request may be
    waiting, be it for RATE or for a slow network. What is left, what is to be tried again and what
    is due later stays ``pending``, and the log says so: let cron run ``manage.py wechat_deliver``
    every minute. With no limit it takes all the time it needs.
    """

    def dispatch(self, notification: Notification) -> None:
        self.dispatch_all([notification])

    def dispatch_all(self, notifications: Sequence[Notification]) -> None:
        left = settings.INLINE_LIMIT
        ends = None if left is None else time.monotonic() + INLINE_SECONDS
        for number, notification in enumerate(notifications):
            seconds = None if ends is None else max(0.0, ends - time.monotonic())
            if left == 0 or seconds == 0:
                _tell_who_wait(notifications[number:])
                return
            report = deliver_within(
                seconds,
                account=notification.template.account,
                notification_id=notification.pk,
                limit=left,
            )
            left = None if left is None else max(0, left - report.handled)
            _tell_who_wait([notification])


class QueueDispatcher(BaseDispatcher):
    """Hands chunks to a task queue, so that its workers share a big notification.

    A task that leaves something undone leaves one successor: at once where more is due, later
    where rows are to be tried again, are due later, or the account rests. So there are never more
    tasks than at the start, and they end with the notification's last open row.

    A subclass says how a task is queued. All arguments are those of ``queued.run``.
    """

    horizon: ClassVar[timedelta | None] = None
    """The furthest ahead that a task is queued; it then looks again. None: any time."""

    def can_defer(self) -> bool:
        """Whether a task can be queued for later. Where not, one task takes all there is."""
        return True

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        """Queue one task; JSON arguments, ``run_after`` only where ``can_defer()``."""
        raise NotImplementedError

    def dispatch(self, notification: Notification) -> None:
        moment = next_due(notification)
        if moment is None:
            return
        if moment > timezone.now():
            self._enqueue_later(notification, moment, share_out=True)
        elif not self.can_defer():
            self.enqueue(_arguments(notification), None)
        else:
            for _ in range(_chunks_due(notification)):
                self.enqueue(_arguments(notification, limit=CHUNK), None)

    def go_on(self, notification: Notification, report: engine.Report) -> None:
        """Called at the end of each task: leave its successor, if one is needed."""
        moment = next_due(notification)
        if moment is None:
            return
        now, account = timezone.now(), notification.template.account
        if account in report.at_rest:
            moment = max(moment, _rest_ends(account, now))
        elif moment <= now and not report.handled:
            moment = now + PATIENCE
        if moment > now:
            self._enqueue_later(notification, moment, limit=CHUNK)
        elif self.can_defer():
            self.enqueue(_arguments(notification, limit=CHUNK), None)
        else:
            _tell_who_waits(notification, moment)

    def _enqueue_later(self, notification: Notification, moment: datetime, **more: Any) -> None:
        if not self.can_defer():
            _tell_who_waits(notification, moment)
            return
        if self.horizon is not None:
            moment = min(moment, timezone.now() + self.horizon)
        self.enqueue(_arguments(notification, **more), moment)


class TasksDispatcher(QueueDispatcher):
    """Django's Tasks framework: ``django.tasks`` from 6.0, the django-tasks backport before.

    What is due later is queued for then where the backend can defer; elsewhere, as with the
    immediate backend, it is left to ``wechat_deliver``.
    """

    TASK_MODULE = "wechat_notify.delivery.django_task"

    def check(self) -> None:
        self._task()

    def can_defer(self) -> bool:
        return bool(self._task().get_backend().supports_defer)

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        task = self._task()
        if run_after is not None:
            task = task.using(run_after=run_after)
        task.enqueue(**arguments)

    def _task(self) -> Any:
        try:
            return import_module(self.TASK_MODULE).deliver
        except ImportError as error:
            raise InvalidSettings(
                "TasksDispatcher needs Django 6.0, or the django-tasks package on Django 5.2: "
                'pip install "django-wechat-notify[tasks]".'
            ) from error


class CeleryDispatcher(QueueDispatcher):
    """Celery: the task is ``wechat_notify.deliver``, found by ``app.autodiscover_tasks()``.

    The same task without arguments delivers whatever is due, for an entry in Celery beat's
    schedule that picks up what a lost broker or a killed worker left behind.
    """

    # A worker holds a task with an ETA unacknowledged until then. RabbitMQ closes the channel of
    # one that does so for 15 (since 3.8.17: 30) minutes, and Redis hands the task to another
    # worker after an hour (Celery's guide, "ETA and Countdown").
    horizon = timedelta(minutes=10)

    TASK_MODULE = "wechat_notify.tasks"

    def check(self) -> None:
        self._task()

    def can_defer(self) -> bool:
        # Eager tasks run at once whatever their ETA.
        return not self._task().app.conf.task_always_eager

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        self._task().apply_async(kwargs=arguments, eta=run_after)

    def _task(self) -> Any:
        try:
            return import_module(self.TASK_MODULE).deliver
        except ImportError as error:
            raise InvalidSettings(
                'CeleryDispatcher needs Celery: pip install "django-wechat-notify[celery]".'
            ) from error


def deliver_within(seconds: float | None, **what: Any) -> engine.Report:
    """``engine.deliver(**what)`` that claims no more rows after so many seconds."""
    if seconds is None:
        return engine.deliver(**what)
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        return engine.deliver(**what, stop=stop)
    finally:
        timer.cancel()


def next_due(notification: Notification) -> datetime | None:
    """When a worker has something to do for this notification; in the past: now. None: never.

    The next due row, or the end of the lease of a row that some worker holds: it may have died.
    """
    logs = SendLog.objects.using(database().alias).filter(
        notification=notification, account=notification.template.account
    )
    due = logs.waiting().filter(due_at__isnull=False).order_by("due_at")
    moment = due.values_list("due_at", flat=True).first()
    if moment is not None and moment <= timezone.now():
        return moment
    held = logs.filter(status=SendLog.Status.SENDING).order_by("claimed_at")
    claimed_at = held.values_list("claimed_at", flat=True).first()
    if claimed_at is None:
        return moment
    lease_ends = claimed_at + timedelta(seconds=settings.LEASE)
    return lease_ends if moment is None else min(moment, lease_ends)


def _chunks_due(notification: Notification) -> int:
    """How many tasks to queue. Counts no further than it has to."""
    logs = SendLog.objects.using(database().alias).waiting().filter(notification=notification)
    return -(-logs[: CHUNK * FAN_OUT].count() // CHUNK)


def _rest_ends(account: str, now: datetime) -> datetime:
    rest = Breaker(account).rest()
    if rest is None:
        return now + PATIENCE
    return rest.until if rest.until > now else now + PROBE_PATIENCE


def _arguments(notification: Notification, **more: Any) -> dict[str, Any]:
    account = notification.template.account
    return {"account": account, "notification_id": notification.pk, **more}


def _tell_who_wait(notifications: Sequence[Notification]) -> None:
    """Log it where messages of these wait: one line, however many they are."""
    if len(notifications) > 1:
        logger.warning(
            "The messages of %d notifications wait for a worker (manage.py wechat_deliver, from "
            "cron or with --watch).",
            len(notifications),
        )
        return
    moment = next_due(notifications[0])
    if moment is not None:
        _tell_who_waits(notifications[0], moment)


def _tell_who_waits(notification: Notification, moment: datetime) -> None:
    logger.warning(
        "Notification %d: messages due since or at %s wait for a worker (manage.py "
        "wechat_deliver, from cron or with --watch).",
        notification.pk,
        timezone.localtime(moment).isoformat(timespec="seconds"),
    )


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
