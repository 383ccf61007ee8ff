"""Waiting for what another thread or process does, however slow the machine is."""

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds until what has not happened is a failure: a busy machine may stand still for twenty."""


def wait_until(condition: Callable[[], object], *, patience: float = PATIENCE) -> None:
    """Look until ``condition`` holds. AssertionError: it does not within ``patience`` seconds."""
    ends = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < ends, "it has not happened"
        time.sleep(0.01)
