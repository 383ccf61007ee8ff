"""What a pool's thread does with a claimed row: check it once more, send it, stop the others."""

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ..models import Notification
from ..types import Outcome, SendResult
from . import database_clock, policy
from .lane import Lane
from .messages import Shared, message
from .outbox import Claimed


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed row for a pool's thread."""

    claimed: Claimed
    shared: Shared
    lane: Lane

    @property
    def priority(self) -> int:
        return self.claimed.priority


@dataclass(frozen=True, slots=True)
class Probe:
    """A request without a message, to find out whether WeChat answers. Nothing leaves before."""

    lane: Lane
    priority: int = Notification.Priority.URGENT


Task: TypeAlias = Job | Probe


class Sender:
    """Sends one row at a time, from many threads at once. Touches no database.

    ``paused_templates`` were paused in the database when rows were last claimed.
    ``refused_templates`` were refused since, and their pause is not written yet. ``failed_alone``:
    rows that did not get through while others did.
    """

    def __init__(self, stop: threading.Event) -> None:
        self.abandon = threading.Event()
        self.paused_templates: set[int] = set()
        self.refused_templates: set[int] = set()
        self.failed_alone: set[int] = set()
        self._stop = stop

    def __call__(self, task: Task) -> SendResult | None:
        """The outcome; None: the task was not sent."""
        if isinstance(task, Probe):
            return None if self._is_ending else task.lane.backend.probe()
        lane = task.lane
        entered = lane.gate.enter(lambda: self.must_not_send(task))
        if entered is None:
            return None
        got_through = False
        try:
            result = lane.backend.send(message(task.claimed, task.shared))
            got_through = policy.gets_through(result)
            if result.outcome is Outcome.REFUSED:
                self._stop_others(task, result)
        finally:
            if lane.gate.leave(entered, got_through=got_through) and not got_through:
                self.failed_alone.add(task.claimed.pk)
        return result

    @property
    def _is_ending(self) -> bool:
        return self.abandon.is_set() or self._stop.is_set()

    def must_not_send(self, job: Job, now: datetime | None = None) -> bool:
        """Whether the run ends, the account rests, the template is paused or it is too late.

        ``now``: the database's time, if the caller has it.
        """
        if self._is_ending or job.lane.at_rest.is_set() or self.is_paused(job.shared.template_pk):
            return True
        row, now = job.claimed, now or database_clock.now()
        late = now >= row.claimed_at + job.lane.send_within
        return late or not policy.may_repeat(row.doubt, now)

    def is_paused(self, template_pk: int) -> bool:
        return template_pk in self.paused_templates or template_pk in self.refused_templates

    def _stop_others(self, job: Job, result: SendResult) -> None:
        """If every other call would be refused too, let the threads start no more of them."""
        if policy.stops_account(result):
            job.lane.at_rest.set()
        elif policy.stops_way(result):
            job.lane.gate.shut_down()
        elif policy.stops_template(result):
            self.refused_templates.add(job.shared.template_pk)
