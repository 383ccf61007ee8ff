"""One task in a fresh process: ``python -m benchmarks.child TASK``, started by ``processes``.

Makes ready, writes ``ready``, waits for a line, runs, and writes its ``Sample`` as JSON.
"""

import json
import os
import resource
import sys
import time
from dataclasses import asdict
from importlib import import_module

from .tasks import Sample, Task


def resident_mb() -> float:
    """Memory of this process now, or the most so far where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return peak_mb()


def peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main() -> None:
    task = Task.loads(sys.argv[1])
    if task.database:
        # Not at the top: a contender without a database must not pay for Django.
        import_module("django").setup()
    contender = import_module(f"benchmarks.{task.kind}").make(task)
    print("ready", flush=True)
    sys.stdin.readline()
    resting = resident_mb()
    # CLOCK_MONOTONIC: the same for every process of the machine, and no one sets it.
    cpu, started = time.process_time(), time.monotonic()
    found = contender.run(task.seconds)
    ended, cpu = time.monotonic(), time.process_time() - cpu
    print(json.dumps(asdict(Sample(started, ended, cpu, resting, peak_mb(), found))), flush=True)


if __name__ == "__main__":
    main()
