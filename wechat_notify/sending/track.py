"""The rows of one account in a run: those only claimed, and those that its threads have."""

import math
from collections import deque
from collections.abc import Sequence

from .claims import Claims
from .lane import Lane
from .pool import Finished, SenderPool
from .sender import Job, Sender, Task
from .turns import PRIORITIES

# With fewer claimed rows for each thread, the next batch is claimed while these are sent.
REFILL_WIDTHS = 4
# Marked rows for each thread: fewer than the first number are filled up to the second. Enough to
# keep the threads busy until the engine's next round. Not more, because each marked row of a
# worker that is killed may have been sent.
MARKED_LEAST, MARKED_MOST = 1.25, 2.25


class Track:
    """One account's lane, claims, staged rows and threads.

    Each account has its own threads, so that slow calls of one do not delay another. Staged rows
    are claimed and not yet marked.
    """

    def __init__(
        self, lane: Lane, claims: Claims, sender: Sender, finished: Finished[Task]
    ) -> None:
        self.lane = lane
        self.claims = claims
        # In the order in which they are due.
        self._staged: dict[int, deque[Job]] = {priority: deque() for priority in PRIORITIES}
        self._sender = sender
        self._finished = finished
        self._pool: SenderPool[Task] | None = None

    @property
    def in_threads(self) -> int:
        """Rows that the threads have, and probes."""
        return self._pool.outstanding if self._pool else 0

    @property
    def unfinished(self) -> int:
        """Claimed rows, and probes, that have no result yet."""
        return sum(map(len, self._staged.values())) + self.in_threads

    @property
    def wants_rows(self) -> bool:
        """Whether it is time to claim the next batch."""
        return self.unfinished <= REFILL_WIDTHS * self.lane.width

    @property
    def is_busy(self) -> bool:
        """Whether every thread has a task, and more tasks wait."""
        return self.in_threads > self.lane.width

    @property
    def least_urgent(self) -> int | None:
        """The least urgent priority among the rows that wait for a thread; None: no row waits."""
        busy = self.is_busy
        for priority in reversed(PRIORITIES):
            if self._staged[priority] or (busy and self._given(priority)):
                return priority
        return None

    def room_before(self, priority: int) -> int:
        """How many rows that are more urgent than this one's the threads need soon."""
        ahead = [one for one in PRIORITIES if one < priority]
        taken = sum(len(self._staged[one]) + self._given(one) for one in ahead)
        return max(0, REFILL_WIDTHS * self.lane.width - taken)

    def stage(self, job: Job) -> None:
        """Keep a claimed row until the threads need it."""
        self._staged[job.priority].append(job)

    def take_staged(self) -> list[Job]:
        """Remove and return all staged rows."""
        jobs = [job for staged in self._staged.values() for job in staged]
        for staged in self._staged.values():
            staged.clear()
        return jobs

    def take_next(self) -> list[Job]:
        """Remove and return as many staged rows as the threads need soon, the most urgent first.

        Less urgent rows that the threads have already do not hold them back. A tenth of what the
        threads have may be of each priority, so that none waits for ever.
        """
        if not any(self._staged.values()):
            return []
        least, most = self.lane.width * MARKED_LEAST, math.ceil(self.lane.width * MARKED_MOST)
        jobs: list[Job] = []
        given = 0
        for priority, staged in self._staged.items():
            given += self._given(priority)
            if staged:
                before = given + len(jobs)
                tenth = math.ceil(most / 10) - self._given(priority)
                room = most - before if before <= least else tenth
                jobs += [staged.popleft() for _ in range(min(room, len(staged)))]
        return jobs

    def submit(self, tasks: Sequence[Task]) -> None:
        """Give the tasks to the threads."""
        if self._pool is None:
            self._pool = SenderPool(self._sender, self.lane.width, self._finished)
        self._pool.submit(tasks)

    def close(self) -> None:
        """Let the threads end, and wait for that."""
        if self._pool is not None:
            self._pool.close()

    def _given(self, priority: int) -> int:
        """How many rows of a priority the threads have."""
        return self._pool.by_priority[priority] if self._pool else 0
