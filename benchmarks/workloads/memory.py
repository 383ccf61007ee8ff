"""The memory of this process, in MB of 2**20 bytes."""

import resource
import sys


def resident_mb() -> float:
    """What it holds now, or the most so far where the system does not tell."""
    return _status("VmRSS") or _most()


def peak_mb() -> float:
    """The most that it has ever held."""
    # Not getrusage() first: on Linux a child starts with its parent's figure there.
    return _status("VmHWM") or _most()


def _status(name: str) -> float:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            found = [line.split()[1] for line in status if line.startswith(f"{name}:")]
    except OSError:
        return 0.0
    return int(found[0]) / 1024 if found else 0.0


def _most() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
