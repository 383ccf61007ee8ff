"""One task in a fresh process: ``python -m benchmarks.workloads TASK``.

Makes ready, writes ``ready``, waits for a line, runs, and writes its ``Sample`` as JSON.
"""

import json
import sys
import time
from dataclasses import asdict
from importlib import import_module

from ..tasks import Sample, Task
from .memory import peak_mb


def main() -> None:
    task = Task.loads(sys.argv[1])
    if task.database:
        # Not at the top: a contender without a database must not pay for Django.
        import_module("django").setup()
    workload = import_module(f"{__package__}.{task.kind}").make(task)
    print("ready", flush=True)
    sys.stdin.readline()
    # CLOCK_MONOTONIC: the same for every process of the machine, and no one sets it.
    cpu, started = time.process_time(), time.monotonic()
    found = workload.run(task.seconds)
    ended, cpu = time.monotonic(), time.process_time() - cpu
    print(json.dumps(asdict(Sample(started, ended, cpu, peak_mb(), found))), flush=True)


main()
