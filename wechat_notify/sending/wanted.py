"""What a run sends, and how other threads tell it that there is more."""

import queue
import threading
from collections.abc import Collection, Iterable
from typing import Any, TypeAlias

# So many are claimed from at a time; with more, the statement that claims would become slow.
MOST = 500


Key: TypeAlias = tuple[str | None, int]
"""A notification's account and primary key; the account is None if the caller does not know it."""


class Wanted:
    """The notifications that a run sends; None: those of all.

    ``leaves_bulk``: accounts whose BULK messages are left to others. Other threads may add
    notifications while the run goes on.
    """

    def __init__(
        self, notifications: Iterable[Key] | None = None, *, leaves_bulk: Collection[str] = ()
    ) -> None:
        self.is_all = notifications is None
        self.leaves_bulk = leaves_bulk
        self._lock = threading.Lock()
        self._keys: set[Key] = set(notifications or ())
        self._more = False
        self._run: queue.SimpleQueue[Any] | None = None

    def notifications(self, account: str) -> list[int]:
        """Those of this account that may have due rows, the oldest first."""
        with self._lock:
            return sorted(pk for its, pk in self._keys if its in (account, None))[:MOST]

    def forget(self, account: str, notifications: Iterable[int]) -> None:
        """These have no due row any more."""
        with self._lock:
            self._keys.difference_update((account, pk) for pk in notifications)

    def add(self, notifications: Iterable[Key]) -> None:
        """Send these too, and at once. They need not be new."""
        with self._lock:
            self._keys.update(notifications)
            self._more = True
            run = self._run
        if run is not None:
            run.put(None)  # wakes the run if it waits for an answer

    def attach(self, run: "queue.SimpleQueue[Any]") -> None:
        """``run`` is the queue at which the run waits."""
        with self._lock:
            self._run = run

    def has_more(self) -> bool:
        """Whether something was added since this was last asked."""
        with self._lock:
            more, self._more = self._more, False
            return more
