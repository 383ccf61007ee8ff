"""The threads that do HTTP: as many as there is work for, and none left behind."""

import threading

import pytest
from django.db import connections

from wechat_notify.delivery.pool import SenderPool
from wechat_notify.types import Outcome, SendResult

OK = SendResult(Outcome.ACCEPTED, 0)


def drain(pool: SenderPool[int]) -> list[tuple[int, SendResult | None]]:
    found = []
    while pool.outstanding:
        done = pool.take(timeout=None)
        assert done is not None
        found.append((done.item, done.result))
    return sorted(found)


def test_every_item_comes_out_once_with_its_result() -> None:
    """None for one that was handed back."""
    pool: SenderPool[int] = SenderPool(lambda item: OK if item % 2 else None, width=4)
    pool.submit(list(range(50)))
    assert drain(pool) == [(item, OK if item % 2 else None) for item in range(50)]
    pool.close()


def test_one_message_starts_one_thread() -> None:
    """A web request that sends one message does not pay for thirty-two."""
    pool: SenderPool[int] = SenderPool(lambda item: OK, width=32)
    before = threading.active_count()
    pool.submit([1])
    assert threading.active_count() <= before + 1
    drain(pool)
    pool.close()
    assert threading.active_count() <= before


def test_never_more_threads_than_its_width() -> None:
    """However much is submitted."""
    at_once: set[str] = set()
    pool: SenderPool[int] = SenderPool(
        lambda item: at_once.add(threading.current_thread().name) or OK, width=3
    )
    for _ in range(5):
        pool.submit(list(range(100)))
    drain(pool)
    pool.close()
    assert len(at_once) <= 3


def test_taking_from_an_idle_pool_does_not_wait() -> None:
    """A timeout of 0 asks and goes on; a short one comes back empty-handed."""
    pool: SenderPool[int] = SenderPool(lambda item: OK, width=1)
    assert pool.take(timeout=0) is None
    assert pool.take(timeout=0.01) is None
    pool.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.NOT_SENT])
def test_a_threads_database_connection_ends_with_it(outcome: Outcome) -> None:
    """The cache may be a table: Django opens a connection for each thread that asks it."""
    closed: list[str] = []

    def send(item: int) -> SendResult:
        connection = connections["default"]
        connection.ensure_connection()
        close = connection.close

        def told() -> None:
            closed.append(threading.current_thread().name)
            close()

        connection.close = told  # type: ignore[method-assign]
        return SendResult(outcome)

    pool: SenderPool[int] = SenderPool(send, width=1)
    pool.submit([1])
    drain(pool)
    pool.close()
    assert set(closed) == {"wechat-notify-0"}
