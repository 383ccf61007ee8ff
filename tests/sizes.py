"""How much the tests of bad days do: seconds' worth, or with CHAOS=1 several times as much."""

import os

# Those to whom an application server's site sends while it is loaded.
WARM_UP = range(9_000, 9_008)

FULL = os.environ.get("CHAOS") == "1"


def sized(small: int, full: int | None = None) -> int:
    """``small``; under CHAOS=1 ``full``, or ten times as much."""
    if not FULL:
        return small
    return 10 * small if full is None else full
