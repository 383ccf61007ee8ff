"""What one delivery run did."""

from collections import Counter
from dataclasses import dataclass, field

from ..models import SendLog


@dataclass
class Report:
    """What one run did.

    ``counts``: the number of rows by their new status ("pending": to be tried again later).
    ``handed_back``: rows that were claimed and not sent. ``lost``: results that were not written,
    because another worker had taken the row over. ``at_rest``: accounts for which nothing is sent
    at present.
    """

    counts: Counter[str] = field(default_factory=Counter)
    handed_back: int = 0
    lost: int = 0
    at_rest: set[str] = field(default_factory=set)

    @property
    def sent(self) -> int:
        return self.counts[SendLog.Status.SENT]

    @property
    def handled(self) -> int:
        return sum(self.counts.values())

    def add(self, other: "Report") -> None:
        """Make this the report of both runs."""
        self.counts.update(other.counts)
        self.handed_back += other.handed_back
        self.lost += other.lost
        self.at_rest = other.at_rest
