"""The threads that do HTTP: as many as there is work for, and none left behind."""

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

import pytest
from django.db import connections

from wechat_notify.models import Notification
from wechat_notify.sending.pool import SenderPool, take
from wechat_notify.types import Outcome, SendResult

OK = SendResult(Outcome.ACCEPTED, 0)
Priority = Notification.Priority


class Task(NamedTuple):
    number: int
    priority: int = Priority.NORMAL


def tasks(count: int, priority: int = Priority.NORMAL) -> list[Task]:
    return [Task(number, priority) for number in range(count)]


def make_pool(send: Callable[[Task], SendResult | None], width: int) -> SenderPool[Task]:
    return SenderPool(send, width, queue.SimpleQueue())


def drain(pool: SenderPool[Task]) -> list[tuple[int, SendResult | None]]:
    found = []
    while pool.outstanding:
        done = take(pool.finished, timeout=None)
        assert done is not None
        found.append((done.item.number, done.result))
    return sorted(found)


def test_every_item_comes_out_once_with_its_result() -> None:
    """None for one that was handed back."""
    pool = make_pool(lambda item: OK if item.number % 2 else None, width=4)
    pool.submit(tasks(50))
    assert drain(pool) == [(item, OK if item % 2 else None) for item in range(50)]
    pool.close()


def test_one_message_starts_one_thread() -> None:
    """A web request that sends one message does not pay for thirty-two."""
    pool = make_pool(lambda item: OK, width=32)
    before = threading.active_count()
    pool.submit(tasks(1))
    assert threading.active_count() <= before + 1
    drain(pool)
    pool.close()
    assert threading.active_count() <= before


def test_never_more_threads_than_its_width() -> None:
    """However much is submitted."""
    at_once: set[str] = set()
    pool = make_pool(lambda item: at_once.add(threading.current_thread().name) or OK, width=3)
    for _ in range(5):
        pool.submit(tasks(100))
    drain(pool)
    pool.close()
    assert len(at_once) <= 3


def test_what_is_urgent_overtakes_what_waits_for_a_thread() -> None:
    """And of every ten that leave, one is of those that it overtakes."""
    left: list[int] = []
    has_one, may_go = threading.Event(), threading.Event()

    def send(item: Task) -> SendResult:
        has_one.set()
        may_go.wait(60)
        left.append(item.priority)
        return OK

    pool = make_pool(send, width=1)
    pool.submit(tasks(30, Priority.BULK))
    assert has_one.wait(60)
    pool.submit(tasks(18, Priority.URGENT))
    may_go.set()
    drain(pool)
    pool.close()
    assert left[0] == Priority.BULK, "the thread had this one already"
    assert [left[1:end].count(Priority.BULK) for end in (11, 21)] == [1, 2]
    assert left[21:] == [Priority.BULK] * 27


def test_taking_from_an_idle_pool_does_not_wait() -> None:
    """A timeout of 0 asks and goes on; a short one comes back empty-handed."""
    pool = make_pool(lambda item: OK, width=1)
    assert take(pool.finished, timeout=0) is None
    assert take(pool.finished, timeout=0.01) is None
    pool.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.NOT_SENT])
def test_a_threads_database_connection_ends_with_it(outcome: Outcome) -> None:
    """The cache may be a table: Django opens a connection for each thread that asks it."""
    closed: list[str] = []

    def send(item: Task) -> SendResult:
        connection = connections["default"]
        connection.ensure_connection()
        close = connection.close

        def told() -> None:
            closed.append(threading.current_thread().name)
            close()

        connection.close = told  # type: ignore[method-assign]
        return SendResult(outcome)

    pool = make_pool(send, width=1)
    pool.submit(tasks(1))
    drain(pool)
    pool.close()
    assert set(closed) == {"wechat-notify-0"}
