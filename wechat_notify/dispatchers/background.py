"""Sends in a thread of the process that called ``notify()``, so that no request waits."""

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from ..conf import MAX_CONCURRENCY, settings
from ..models import Notification, database
from ..sending.forks_record import record_no_threads
from ..sending.wanted import Key
from ..wechat.threads import forks_later, in_tests, threads_refused, threads_run
from .base import BaseDispatcher, get_dispatcher, keys_of
from .inline import InlineDispatcher
from .lookout import lookout
from .sender_thread import sender
from .signs_of_life import TASK, WORKER, seen_lately
from .wakeups import notify_workers

logger = logging.getLogger(__name__)


class BackgroundDispatcher(BaseDispatcher):
    """A daemon thread of this process sends, and the request returns at once. Needs no worker.

    It also sends what is due later, what is to be tried again, and what processes that were killed
    have left behind; any process that serves requests does so. It starts at the first request or
    the first message of the process, after a fork. BULK messages are left to ``wechat_deliver`` or
    a task queue's worker where one was at work within two minutes. If the process cannot run
    threads, messages are sent as ``InlineDispatcher`` does. In tests nothing is sent (see
    ``wechat_notify.testing``).

    Option ``threads``: the most calls in flight at a time for an account, by default 8. This
    process serves requests too, and more would slow these down.

    For sites whose database connection depends on the thread, such as with django-tenants: a
    subclass restores with ``entered()`` what ``current_context()`` has returned in the request's
    thread, and ``all_contexts()`` lists those whose messages are to be looked after.
    """

    option_names = frozenset({"threads"})

    needs_worker = False
    how_to_start = gettext_lazy(
        "A process that serves requests sends them. Open a page of the site, or start manage.py "
        "wechat_deliver."
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.threads: int = options.get("threads", 8)
        if type(self.threads) is not int or not 1 <= self.threads <= MAX_CONCURRENCY:
            raise self._wrong_option("threads", f"a whole number from 1 to {MAX_CONCURRENCY}")

    def dispatch(self, notification: Notification) -> None:
        self.dispatch_all([notification])

    def dispatch_all(self, notifications: Sequence[Notification]) -> None:
        if in_tests():
            return
        if threads_run() and forks_later():
            return  # the first worker that serves a request finds them
        keys = keys_of(one for one in notifications if not _is_left_to_worker(one))
        if len(keys) < len(notifications):
            notify_workers(database().alias)
        if not keys or (threads_run() and self._hand_over(keys)):
            return
        if threads_refused():
            _record()
        InlineDispatcher({}).dispatch_all(notifications)

    def _hand_over(self, keys: set[Key]) -> bool:
        return sender.get().hand_over(self, self.current_context(), keys)

    def current_context(self) -> Hashable:
        """What the thread needs to find this request's database again. Called in the request."""
        return None

    def all_contexts(self) -> Iterable[Hashable]:
        """Each context whose messages are to be sent, whoever wrote them. Called in the thread."""
        return [None]

    @contextmanager
    def entered(self, context: Hashable) -> Iterator[None]:
        """Use the database of this context within the block. Called in the thread."""
        yield


def _is_left_to_worker(notification: Notification) -> bool:
    """A message for everybody is left to a worker that is at work, so that requests keep pace."""
    if notification.priority != Notification.Priority.BULK:
        return False
    try:
        return seen_lately(notification.template.account, WORKER, TASK)
    except Exception:
        logger.warning("It is not known whether a worker is at work.", exc_info=True)
        return False


def on_request(**kwargs: Any) -> None:
    """Start the thread of each process that serves requests, at its first one.

    A process that has written nothing itself looks after what others have left, too.
    """
    thread = sender.get()
    thread.serves_requests = True
    if thread.is_running or not thread.may_start() or not threads_run():
        return
    try:
        dispatcher = get_dispatcher() if settings.aliases else None
    except ImproperlyConfigured:
        return  # the system checks say what is wrong, and so does notify()
    except Exception:
        # Of a module that the settings name. This page does not need it.
        logger.exception("The dispatcher cannot be used, so nothing is sent in the background.")
        return
    if isinstance(dispatcher, BackgroundDispatcher):
        thread.start(dispatcher)
    elif dispatcher is not None:
        lookout.get().start()  # somebody must notice if those who should send do not run


def _record() -> None:
    """Tell the doctor and the dashboard. A cache that is down must not keep messages back."""
    try:
        record_no_threads()
    except Exception:
        logger.warning("It could not be recorded that threads cannot run here.", exc_info=True)
