"""Whether what a transaction wrote is still true.

Django reports a commit and no rollback. But when it rolls back, to a savepoint or altogether, it
drops the commit hooks that were registered meanwhile. So a hook that is dropped without having been
called says that what was written beside it is undone, or that nobody knows.
"""

from functools import partial
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

OPEN, COMMITTED, UNKNOWN = "open", "committed", "unknown"


class Fate:
    """What became of one write: OPEN within its transaction, then COMMITTED or UNKNOWN.

    Pickled or copied, it is UNKNOWN: another process's transaction cannot be asked.
    """

    __slots__ = ("connection_id", "savepoints", "state")

    def __init__(
        self, connection_id: int = 0, state: str = UNKNOWN, savepoints: tuple[Any, ...] = ()
    ) -> None:
        self.connection_id = connection_id
        self.state = state
        self.savepoints = savepoints

    def __reduce__(self) -> Any:
        return Fate, ()

    def is_certain(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether what was written is what a query on ``connection`` would find."""
        if self.state == OPEN:
            return connection.in_atomic_block and self.connection_id == id(connection)
        return self.state == COMMITTED


class _Hook:
    """Called at the commit. Only the connection holds it: dropped, it is gone at once."""

    __slots__ = ("_fate",)

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        open_fates[id(fate)] = fate

    def __call__(self) -> None:
        self._end(COMMITTED)

    def __del__(self) -> None:
        if self._fate.state == OPEN:
            self._end(UNKNOWN)

    def _end(self, state: str) -> None:
        self._fate.state = state
        open_fates.pop(id(self._fate), None)


open_fates: dict[int, Fate] = {}
"""Those of this process that are OPEN, in the order of the writes."""

certain = partial(Fate, state=COMMITTED)


def fate_of_write(using: str) -> Fate:
    """The fate of what has just been written to this database."""
    connection = connections[using]
    if not connection.in_atomic_block:
        # Without autocommit the site commits by hand, and Django takes no hooks.
        return certain() if connection.get_autocommit() else Fate()
    savepoints = tuple(connection.savepoint_ids)
    last = _last_open(connection)
    if last is not None and last.savepoints == savepoints:
        return last  # one hook, however many rows a transaction writes
    fate = Fate(id(connection), OPEN, savepoints)
    transaction.on_commit(_Hook(fate), using=using, robust=True)
    return fate


def fate_of_read(using: str) -> Fate:
    """The fate of what has just been read: that of the last write that it may have seen."""
    return _last_open(connections[using]) or certain()


def _last_open(connection: BaseDatabaseWrapper) -> Fate | None:
    here = id(connection)
    for fate in reversed(list(open_fates.values())):
        if fate.connection_id == here:
            return fate
    return None
