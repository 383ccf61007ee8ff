"""One task in a fresh process: ``python -m benchmarks.workloads TASK``.

Makes ready, writes ``ready``, waits for a line, runs, and writes its ``Sample`` as JSON.
"""

import json
import sys
from dataclasses import asdict
from importlib import import_module

from ..tasks import Sample, Stopwatch, Task
from .memory import peak_mb


def main() -> None:
    task = Task.loads(sys.argv[1])
    if task.database:
        # Not at the top: a contender without a database must not pay for Django.
        import_module("django").setup()
    workload = import_module(f"{__package__}.{task.kind}").make(task)
    print("ready", flush=True)
    sys.stdin.readline()
    stopwatch = Stopwatch()
    found = workload.run(task.seconds, stopwatch)
    if not stopwatch.lapped:
        stopwatch.lap()
    sample = Sample(stopwatch.started, stopwatch.ended, stopwatch.cpu, peak_mb(), found)
    print(json.dumps(asdict(sample)), flush=True)


main()
