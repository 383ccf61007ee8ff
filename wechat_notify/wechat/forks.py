"""What must not be carried into a forked child: sockets, and locks another thread may have held."""

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Something that can start afresh in a child process."""

    def renew(self) -> None: ...


_renewables: "WeakSet[Renewable]" = WeakSet()


def renew_after_fork(renewable: Renewable) -> None:
    """Have ``renewable.renew()`` called in every child forked from now on, while it is alive."""
    _renewables.add(renewable)


def _renew_all() -> None:
    for renewable in list(_renewables):
        renewable.renew()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_renew_all)
