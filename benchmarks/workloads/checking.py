"""What it costs to check and normalise one message's five fields, in CPU."""

import time
from typing import Any

from wechat_notify.wechat import fields, values

from ..tasks import CONTENT, VALUES, Stopwatch, Task, Workload

ROUNDS = 200
BATCH = 50


class Checking:
    """``run`` finds the CPU microseconds of ``values.normalise`` for the benchmark's message."""

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        parsed = fields.parse(CONTENT)
        best = min(self._batch(parsed) for _ in range(ROUNDS))
        return {"microseconds": best * 1e6}

    @staticmethod
    def _batch(parsed: tuple[fields.Field, ...]) -> float:
        begun = time.process_time()
        for _ in range(BATCH):
            _wire, problems = values.normalise(parsed, VALUES)
            if problems:
                raise RuntimeError(problems)
        return (time.process_time() - begun) / BATCH


def make(task: Task) -> Workload:
    return Checking()
