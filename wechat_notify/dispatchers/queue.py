"""What the dispatchers of task queues have in common, and what a queued task does."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext_lazy

from .. import duties
from ..conf import settings
from ..models import Notification, SendLog
from ..sending.breaker import Breaker
from ..sending.report import Report
from ..sending.wanted import MOST, Wanted
from .base import BaseDispatcher, get_dispatcher, keys_of
from .due import next_due, warn_of_waiting
from .inline import LIMIT, InlineDispatcher
from .limited_time import deliver_within
from .signs_of_life import TASK, SignOfLife

RETRY_AFTER = timedelta(minutes=1)
"""A task that found messages due and could send none is followed by one so much later."""
RETRY_AFTER_PROBE = timedelta(seconds=10)
"""The same while another worker's probe finds out whether the account can send again."""


class QueueDispatcher(BaseDispatcher):
    """Hands chunks to a task queue, so that its workers share a big notification.

    The notifications of one transaction share their tasks. A task that leaves rows open queues one
    task after itself: at once if more is due, later if rows are to be tried again, are due later,
    or the account rests. So there are never more tasks than at the start, and there are none after
    the last open row.

    A subclass defines how a task is queued. A task's arguments are those of ``run`` below.

    Option ``queue``: the name of the queue, by default the task queue's own default.
    """

    option_names = frozenset({"queue"})

    how_to_start = gettext_lazy(
        "Start the workers of the task queue. What a lost task has left behind, manage.py "
        "wechat_deliver sends."
    )

    chunk: ClassVar[int] = 2_000
    """How many messages a task sends: few enough that other tasks do not wait long."""
    fan_out: ClassVar[int] = 16
    """The most tasks of one notification in the queue, so the most workers that send it."""
    task_seconds: ClassVar[float] = 300.0
    """How long a task runs at most, because queues end longer ones; the next task goes on."""
    horizon: ClassVar[timedelta | None] = None
    """A task is queued at most so long ahead, and then queues the next one. None: no limit."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.queue_name: str | None = options.get("queue")
        if self.queue_name is not None and not isinstance(self.queue_name, str):
            raise self._wrong_option("queue", "the name of a queue")

    @property
    def needs_worker(self) -> bool:
        return not self.can_defer()

    @property
    def runs_at_once(self) -> bool:
        """Whether a task runs in the request that queues it, as in development and tests.

        Then it sends no more than ``InlineDispatcher`` does.
        """
        return False

    def can_defer(self) -> bool:
        """Whether a task can be queued for later. If not, one task sends everything."""
        return True

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        """Put one task into the queue ``self.queue_name``.

        ``arguments`` are JSON; ``run_after`` is given only where ``can_defer()``.
        """
        raise NotImplementedError

    def dispatch(self, notification: Notification) -> None:
        self.dispatch_all([notification])

    def dispatch_all(self, notifications: Sequence[Notification]) -> None:
        keys = keys_of(notifications)
        for account in {account for account, _pk in keys if account is not None}:
            for ids in _batches(sorted(pk for its, pk in keys if its == account)):
                self.share_out(account, ids)

    def share_out(self, account: str, ids: Sequence[int]) -> None:
        """Queue the tasks that send these notifications of an account, or one for later."""
        moment = next_due(ids)
        if moment is None:
            return
        if moment > timezone.now():
            self._enqueue_later(account, ids, moment, share_out=True)
        elif self.runs_at_once:
            self.enqueue(_arguments(account, ids, limit=LIMIT), None)
        elif not self.can_defer():
            self.enqueue(_arguments(account, ids), None)
        else:
            for _ in range(self._chunks_due(ids)):
                self.enqueue(_arguments(account, ids, limit=self.chunk), None)

    def go_on(self, account: str, ids: Sequence[int], report: Report) -> None:
        """Called at the end of each task: queue the next one, if one is needed."""
        moment = next_due(ids)
        if moment is None:
            return
        now = timezone.now()
        if account in report.at_rest:
            moment = max(moment, _rest_ends(account, now))
        elif moment <= now and not report.handled:
            moment = now + RETRY_AFTER
        if moment > now:
            self._enqueue_later(account, ids, moment, limit=self.chunk)
        elif self.can_defer():
            self.enqueue(_arguments(account, ids, limit=self.chunk), None)
        else:
            warn_of_waiting(ids)

    def _chunks_due(self, ids: Sequence[int]) -> int:
        """How many tasks to queue. Counts no more rows than ``fan_out`` tasks can send."""
        logs = SendLog.objects.waiting().filter(notification__in=ids)
        return -(-logs[: self.chunk * self.fan_out].count() // self.chunk)

    def _enqueue_later(
        self, account: str, ids: Sequence[int], moment: datetime, **more: Any
    ) -> None:
        if not self.can_defer():
            warn_of_waiting(ids)
            return
        if self.horizon is not None:
            moment = min(moment, timezone.now() + self.horizon)
        self.enqueue(_arguments(account, ids, **more), moment)


def run(
    account: str | None = None,
    notifications: Sequence[int] | None = None,
    limit: int | None = None,
    share_out: bool = False,
) -> dict[str, int]:
    """Send up to ``limit`` due messages of these notifications, and queue the next task.

    ``account`` is theirs. Without notifications: everything that is due, of one account or of all.
    ``share_out``: the notifications have become due, so queue their tasks instead of sending.
    Returns the number of messages by their new status.
    """
    sign = SignOfLife(TASK, settings.aliases if account is None else [account])
    sign.give()
    duties.run_due()
    dispatcher = get_dispatcher()
    queued = dispatcher if isinstance(dispatcher, QueueDispatcher) else None
    if share_out and queued is not None and account and notifications:
        queued.share_out(account, notifications)
        return {}
    at_once = queued is not None and queued.runs_at_once
    report = deliver_within(
        InlineDispatcher.seconds if at_once else (queued or QueueDispatcher).task_seconds,
        account=account,
        wanted=Wanted(None if notifications is None else [(account, pk) for pk in notifications]),
        limit=limit,
        progress=lambda report: sign.give(),
    )
    if queued is not None and account and notifications:
        queued.go_on(account, notifications, report)
    return report.counts


def _batches(pks: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(pks), MOST):
        yield pks[start : start + MOST]


def _rest_ends(account: str, now: datetime) -> datetime:
    rest = Breaker(account).rest()
    if rest is None:
        return now + RETRY_AFTER
    return rest.until if rest.until > now else now + RETRY_AFTER_PROBE


def _arguments(account: str, ids: Sequence[int], **more: Any) -> dict[str, Any]:
    return {"account": account, "notifications": list(ids), **more}
