"""Threads that do HTTP only. They run no queries of their own.

But the cache that holds the access token may be a database table, and Django then opens a
connection for each thread.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from django.db import close_old_connections, connections

from ..types import Outcome, SendResult
from .turns import PRIORITIES, HasPriority, Line

logger = logging.getLogger(__name__)

Item = TypeVar("Item", bound=HasPriority)


@dataclass(frozen=True, slots=True)
class Done(Generic[Item]):
    """An item and its result; None: it was not sent."""

    item: Item
    result: SendResult | None
    pool: "SenderPool[Item]"


Finished: TypeAlias = queue.SimpleQueue[Done[Item] | None]
"""Finished items; None only wakes whoever waits for one."""


class SenderPool(Generic[Item]):
    """Runs ``send(item)`` in up to ``width`` threads and puts the results into ``finished``.

    Several pools may share one ``finished``: each account has its own threads, so that slow calls
    of one do not delay another.

    ``send`` returns a SendResult, or None for an item that it did not send. What is more urgent
    overtakes what waits. The number of waiting items has no limit of its own: the engine submits
    only as many as the threads need soon.

    ``by_priority``: how many items of each priority have no result yet.
    """

    def __init__(
        self,
        send: Callable[[Item], SendResult | None],
        width: int,
        finished: Finished[Item],
    ) -> None:
        self._send = send
        self.width = width
        self._waiting: Line[Item] = Line()
        # One True for each item that waits: a thread sleeps until there is one. False ends it.
        self._ready: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.finished = finished
        self.by_priority: dict[int, int] = dict.fromkeys(PRIORITIES, 0)

    @property
    def outstanding(self) -> int:
        """How many items have no result yet."""
        return sum(self.by_priority.values())

    def submit(self, items: Sequence[Item]) -> None:
        """Queue items, starting only as many threads as there is work for.

        If no thread can be started, as when the interpreter is about to end, the caller's thread
        sends them.
        """
        for item in items:
            self.by_priority[item.priority] += 1
        for _ in range(min(self.width, self.outstanding) - len(self._threads)):
            if not self._start_thread():
                break
        for item in items:
            if self._threads:
                self._waiting.put(item)
                self._ready.put(True)
            else:
                self.finished.put(Done(item, self._attempt(item), self))

    def close(self) -> None:
        """Let the threads end once the queue is empty, and wait for them."""
        for _ in self._threads:
            self._ready.put(False)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start_thread(self) -> bool:
        name = f"wechat-notify-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def _run(self) -> None:
        try:
            while self._ready.get():
                item = self._waiting.take()
                result = self._attempt(item)
                self.finished.put(Done(item, result, self))
                if result is not None and result.outcome is Outcome.NOT_SENT:
                    close_old_connections()  # a broken one would fail for every later item
        finally:
            connections.close_all()

    def _attempt(self, item: Item) -> SendResult | None:
        try:
            return self._send(item)
        except Exception as error:
            # A backend must not raise. If it does, the thread goes on, and the message may have
            # been sent. The exception's text is left out: it may hold a secret.
            logger.exception("The backend raised instead of returning a result.")
            return SendResult(Outcome.UNKNOWN, errmsg=f"{type(error).__name__} in the backend")


def take(finished: Finished[Item], timeout: float | None) -> Done[Item] | None:
    """The next finished item; None after ``timeout`` seconds (0: do not wait), or if woken."""
    try:
        done = finished.get(block=timeout != 0, timeout=timeout or None)
    except queue.Empty:
        return None
    if done is not None:
        done.pool.by_priority[done.item.priority] -= 1
    return done
