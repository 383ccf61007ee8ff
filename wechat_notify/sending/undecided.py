"""Messages without an answer of WeChat's, until it is known what has failed: they, or the way.

If other messages get through, the message itself has failed, and its attempt counts. If none does,
the way to WeChat has failed, and the attempt does not count.
"""

from ..types import SendResult
from .lane import Lane
from .sender import Job


class Undecided:
    """Keeps the messages until another one gets through, or nothing is in flight any more.

    ``failed_alone``: rows that failed while other messages got through. The threads add them.
    """

    def __init__(self, failed_alone: set[int]) -> None:
        self._failed_alone = failed_alone
        self._held: list[tuple[Job, SendResult]] = []

    def __len__(self) -> int:
        return len(self._held)

    def add(self, job: Job, result: SendResult) -> None:
        """Keep a message that did not get through."""
        self._held.append((job, result))

    def first_failures(self, lane: Lane) -> tuple[list[int], SendResult | None]:
        """The keys of an account's rows that fail for the first time, and its last result."""
        mine = [(job, result) for job, result in self._held if job.lane is lane]
        keys = [job.claimed.pk for job, _result in mine if not _failed_before(job)]
        return keys, mine[-1][1] if mine else None

    def take(self, lane: Lane, *, others_pass: bool) -> list[tuple[Job, SendResult, bool]]:
        """Remove and return an account's messages, each with whether its attempt counts.

        ``others_pass``: other messages get through, so every attempt counts. If not, an attempt
        counts only where the row is in ``failed_alone``, or where every row has failed before.
        """
        if not self._held:  # as after nearly every message
            return []
        mine = [(job, result) for job, result in self._held if job.lane is lane]
        self._held = [(job, result) for job, result in self._held if job.lane is not lane]
        counts = others_pass or all(_failed_before(job) for job, _result in mine)
        taken = [
            (job, result, counts or job.claimed.pk in self._failed_alone) for job, result in mine
        ]
        self._failed_alone.difference_update(job.claimed.pk for job, _result in mine)
        return taken


def _failed_before(job: Job) -> bool:
    """Whether an earlier attempt of this row counted."""
    return job.claimed.attempts > 1
