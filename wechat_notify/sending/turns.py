"""Which priority comes next: the most urgent one, but each that waits has one turn of ten.

So what is urgent overtakes the rest, and the rest still makes progress however much is urgent.
"""

import itertools
from collections import Counter, deque
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar

from ..models import Notification

Priority = Notification.Priority

PRIORITIES = tuple(sorted(Priority))
"""The most urgent first."""

_TURNS = 10
# In two turns of ten a less urgent priority comes first.
_FIRST = {4: Priority.NORMAL, 9: Priority.BULK}


def _order(turn: int) -> tuple[Priority, ...]:
    first = _FIRST.get(turn, Priority.URGENT)
    return (first, *(priority for priority in PRIORITIES if priority != first))


_ORDERS = tuple(_order(turn) for turn in range(_TURNS))


class Turns:
    """Counts turns. Thread-safe."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def order(self) -> tuple[Priority, ...]:
        """The priorities in the order in which they are asked at the next turn."""
        return _ORDERS[next(self._count) % _TURNS]

    def shares(self, number: int, waiting: Collection[int]) -> Counter[Priority]:
        """How many of the next ``number`` turns each of the ``waiting`` priorities has."""
        found: Counter[Priority] = Counter()
        for _ in range(number if waiting else 0):
            found[next(priority for priority in self.order() if priority in waiting)] += 1
        return found


class HasPriority(Protocol):
    @property
    def priority(self) -> int: ...


Item = TypeVar("Item", bound=HasPriority)


class Line(Generic[Item]):
    """Items that wait, taken by turns of their priorities. Thread-safe."""

    def __init__(self) -> None:
        self._turns = Turns()
        # A deque's append() and popleft() are atomic.
        self._waiting: dict[int, deque[Item]] = {priority: deque() for priority in PRIORITIES}

    def put(self, item: Item) -> None:
        self._waiting[item.priority].append(item)

    def take(self) -> Item:
        """Remove and return the next item. Call it once for each ``put()`` only."""
        while True:
            for priority in self._turns.order():
                waiting = self._waiting[priority]
                try:
                    if waiting:
                        return waiting.popleft()
                except IndexError:
                    continue  # another thread has taken it
