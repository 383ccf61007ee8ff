"""Threads that do HTTP and nothing else. They never touch the database themselves.

The cache that holds the access token may be a table of it, though, and Django opens a connection
for each thread that asks.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import close_old_connections, connections

from ..types import Outcome, SendResult

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Done(Generic[Item]):
    """An item and what became of it; ``result`` None: it was handed back unsent."""

    item: Item
    result: SendResult | None


class SenderPool(Generic[Item]):
    """Runs ``send(item)`` in up to ``width`` threads; what comes out is in ``finished``.

    ``send`` returns a SendResult, or None for an item it chose not to send. The queue in front of
    the threads is bounded by its only feeder, the engine.
    """

    def __init__(self, send: Callable[[Item], SendResult | None], width: int) -> None:
        self._send = send
        self._width = width
        self._waiting: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.finished: queue.SimpleQueue[Done[Item]] = queue.SimpleQueue()
        self.outstanding = 0

    def submit(self, items: list[Item]) -> None:
        """Queue items, starting only as many threads as there is work for."""
        self.outstanding += len(items)
        for _ in range(min(self._width, self.outstanding) - len(self._threads)):
            self._start_thread()
        for item in items:
            self._waiting.put(item)

    def take(self, timeout: float | None) -> Done[Item] | None:
        """The next finished item, or None when there was none in time (0: do not wait)."""
        try:
            done = self.finished.get(block=timeout != 0, timeout=timeout or None)
        except queue.Empty:
            return None
        self.outstanding -= 1
        return done

    def close(self) -> None:
        """Let the threads end once the queue is empty, and wait for them."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start_thread(self) -> None:
        name = f"wechat-notify-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        try:
            while (item := self._waiting.get()) is not None:
                result = self._attempt(item)
                self.finished.put(Done(item, result))
                if result is not None and result.outcome is Outcome.NOT_SENT:
                    close_old_connections()  # a broken one would fail for every item to come
        finally:
            connections.close_all()

    def _attempt(self, item: Item) -> SendResult | None:
        try:
            return self._send(item)
        except Exception as error:
            # A backend promises not to raise. One that does must not take the thread and its
            # rows down; whether the message left nobody knows. The text may hold a secret.
            logger.exception("The backend raised instead of returning a result.")
            return SendResult(Outcome.UNKNOWN, errmsg=f"{type(error).__name__} in the backend")
