"""Whose turn it is: the most urgent first, and each priority that waits once in ten turns."""

import threading
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.models import Notification
from wechat_notify.sending.turns import PRIORITIES, Line, Turns

Priority = Notification.Priority
priorities = st.sampled_from(PRIORITIES)


class Item(NamedTuple):
    number: int
    priority: int


def test_the_most_urgent_first() -> None:
    """By the numbers of the model's own choices, so that one index finds them in this order."""
    assert PRIORITIES == (Priority.URGENT, Priority.NORMAL, Priority.BULK)
    assert Turns().shares(1, PRIORITIES) == {Priority.URGENT: 1}
    assert Turns().shares(7, [Priority.BULK]) == {Priority.BULK: 7}
    assert Turns().shares(7, []) == {}


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.sets(priorities, min_size=1))
def test_each_that_waits_has_a_tenth_and_the_most_urgent_the_most(
    claims: list[int], waiting: set[Priority]
) -> None:
    """Of each claim, and of small ones together: none starves, however many claims there are."""
    turns = Turns()
    total = dict.fromkeys(PRIORITIES, 0)
    for wanted in claims:
        shares = turns.shares(wanted, waiting)
        assert sum(shares.values()) == wanted
        assert shares.keys() <= waiting
        assert all(shares[priority] >= wanted // 10 for priority in waiting)
        for priority, number in shares.items():
            total[priority] += number
    assert all(total[priority] >= sum(claims) // 10 for priority in waiting)
    assert total[min(waiting)] >= sum(claims) * 0.8 - len(PRIORITIES)


@given(st.lists(st.one_of(priorities, st.none()), max_size=200))
def test_a_line_gives_every_item_once_in_the_order_of_its_kind(
    steps: list[Priority | None],
) -> None:
    """Put (a priority) and take (None) in any order: none is lost, none overtakes its own kind."""
    line: Line[Item] = Line()
    waiting: list[Item] = []
    for number, step in enumerate(steps):
        if step is not None:
            waiting.append(Item(number, step))
            line.put(waiting[-1])
        elif waiting:
            item = line.take()
            assert item == next(one for one in waiting if one.priority == item.priority)
            waiting.remove(item)
    assert sorted(line.take() for _ in waiting) == sorted(waiting)


def test_threads_that_take_at_once_never_get_the_same() -> None:
    """As many as were put, each one once."""
    line: Line[Item] = Line()
    items = [Item(number, PRIORITIES[number % 3]) for number in range(3_000)]
    taken: list[Item] = []
    for item in items:
        line.put(item)

    def work() -> None:
        taken.extend(line.take() for _ in range(500))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == items
