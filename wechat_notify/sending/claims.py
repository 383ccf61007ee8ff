"""Which due rows of an account a run claims: the most urgent first, and none shut out.

Each priority that has due rows gets a tenth of every claim or more. Within one priority the
notification that is due longest shares with another, each of the others in turn.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from ..models import Notification, SendLog, repeats_on_conflict
from . import database_clock, outbox
from .next_moment import is_due
from .outbox import Claimed, Only
from .turns import PRIORITIES, Turns
from .wanted import Wanted

Priority = Notification.Priority

# What has due rows is read once in so many seconds, not for each claim, as claims may be small.
LOOK_SECONDS = 0.25
# A round among the notifications of one priority begins anew after so many.
ROUND_MOST = 100
# A run for one notification gives this part of it to others of the same kind.
FOR_OTHERS = 0.1

Place: TypeAlias = tuple[datetime, int]
"""A notification, and when the first of its rows is due."""


class Round:
    """Goes round among the notifications of one priority that have due rows.

    ``first`` is the one that is due longest, ``other`` the one whose turn it is; or None.
    """

    def __init__(self, account: str, priority: Priority) -> None:
        self._rows = SendLog.objects.waiting().filter(account=account, priority=priority)
        self._place: Place | None = None
        self._had_turns: list[int] = []
        self.first: int | None = None
        self.other: int | None = None

    def look(self, now: datetime) -> bool:
        """Find both anew, in at most five small queries. Whether anything is due."""
        due = self._rows.filter(due_at__lte=now)
        first = _place(due.order_by("due_at", "notification"))
        if first is None:
            self.first = self.other = None
            return False
        self.first = first[1]
        found = None
        if self._place is not None and len(self._had_turns) < ROUND_MOST:
            passed = {self.first, *self._had_turns}
            found = self._next_place(now, max(self._place, first), passed)
        if found is None:
            self._had_turns.clear()
            found = self._next_place(now, first, {self.first})
        self._place = found
        self.other = None if found is None else found[1]
        if self.other is not None:
            self._had_turns.append(self.other)
        return True

    def _next_place(self, now: datetime, after: Place, passed: Collection[int]) -> Place | None:
        """The next notification in the order of the index, without those ``passed``.

        Most rows of a notification are due at one time, so these are stepped over. Of the
        notifications passed, only rows that are due later are read, such as those to be tried
        again.
        """
        due_at, notification = after
        rows = self._rows.exclude(notification__in=passed)
        # No second condition on due_at: SQLite would take that for the index, and read all rows
        # that are due, not those of one moment.
        beside = rows.filter(due_at=due_at, notification__gt=notification).order_by("notification")
        later = rows.filter(due_at__gt=due_at, due_at__lte=now).order_by("due_at", "notification")
        return _place(beside) or _place(later)


def _place(rows: "QuerySet[SendLog]") -> Place | None:
    for due_at, notification in rows.values_list("due_at", "notification_id")[:1]:
        if due_at is not None:
            return due_at, notification
    return None


class Claims:
    """Claims the due rows of one account, for one run; ``without_bulk``: others send those."""

    def __init__(self, account: str, *, without_bulk: bool = False) -> None:
        self._account = account
        self._priorities = PRIORITIES[:-1] if without_bulk else PRIORITIES
        self._turns = Turns()
        self._rounds = {priority: Round(account, priority) for priority in PRIORITIES}
        self._due: list[Priority] = []
        self._looked_at = self._asked_at = -LOOK_SECONDS
        self._odd = 1

    def counted(self, rows: Sequence[Claimed]) -> int:
        """How many of these rows count towards the run's limit."""
        return len(rows)

    def take(self, wanted: int, most: int) -> list[Claimed]:
        """Claim ``wanted`` rows, or all that are due; ``most`` that count towards the limit."""
        wanted, lease = min(wanted, most), Lease.now()
        self._look(lease.due)
        rows: list[Claimed] = []
        more = []
        for priority, number in self._turns.shares(wanted, self._due).items():
            found = self._shared(priority, number, lease)
            rows += found
            if len(found) == number:
                more.append(priority)
        for priority in more:
            rows += self._claim(wanted - len(rows), lease, ("priority", [priority]))
        if len(rows) < wanted:
            self._due = []
        return rows

    def take_more_urgent(self, than: int, wanted: int) -> list[Claimed]:
        """Claim ``wanted`` rows that are more urgent, of any notification, or all that are due."""
        lease = Lease.now()
        rows: list[Claimed] = []
        for priority in _more_urgent(than):
            rows += self._claim(wanted - len(rows), lease, ("priority", [priority]))
        return rows

    def sees_more_urgent(self, than: int) -> bool:
        """Whether anything more urgent is due. False, without a query, if that was just asked."""
        if time.monotonic() - max(self._looked_at, self._asked_at) < LOOK_SECONDS:
            return False
        self._asked_at = time.monotonic()
        return is_due(self._account, _more_urgent(than))

    def _look(self, now: datetime) -> None:
        """Find out which priorities have due rows. That nothing is due is never an old finding."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS or not self._due:
            self._looked_at = time.monotonic()
            self._due = self._look_anew(now)

    @repeats_on_conflict
    def _look_anew(self, now: datetime) -> list[Priority]:
        return [one for one in self._priorities if self._rounds[one].look(now)]

    def _shared(self, priority: Priority, number: int, lease: "Lease") -> list[Claimed]:
        """Claim half for the notification whose turn it is, the rest in the order of due_at."""
        rows: list[Claimed] = []
        other = self._rounds[priority].other
        if other is not None:
            self._odd = 1 - self._odd
            rows += self._claim((number + self._odd) // 2, lease, ("notification_id", [other]))
        return rows + self._claim(number - len(rows), lease, ("priority", [priority]))

    def _claim(self, number: int, lease: "Lease", only: Only) -> list[Claimed]:
        if number <= 0:
            return []
        return outbox.claim(self._account, number, only, now=lease.due, mark=lease.mark)


class ClaimsForSome(Claims):
    """Claims the due rows of some notifications, and what must not wait until all are sent.

    These are more urgent rows, of any notification, and where its own are BULK, a part for others
    of that kind. Only its own notifications' rows count towards the limit, and when none of them is
    due, nothing is claimed.
    """

    def __init__(self, account: str, wanted: Wanted) -> None:
        super().__init__(account)
        self._wanted = wanted
        self._own: set[int] = set()
        self._priority: int | None = None
        self._owed_to_others = 0.0

    def counted(self, rows: Sequence[Claimed]) -> int:
        return sum(row.notification_id in self._own for row in rows)

    def take(self, wanted: int, most: int) -> list[Claimed]:
        lease = Lease.now()
        self._look(lease.due)
        if self._priority is None:
            return []
        urgent = self._due[:-1]
        shares = self._turns.shares(wanted, self._due)
        rows: list[Claimed] = []
        for priority in urgent:
            rows += self._shared(priority, shares[priority], lease)
        rows += self._for_others(wanted - len(rows), lease)
        number = min(wanted - len(rows), most)
        own = self._claim(number, lease, ("notification_id", sorted(self._own)))
        rows += own
        if urgent:
            rows += self.take_more_urgent(self._priority, wanted - len(rows))
        if len(own) < number:
            self._due = []
        return rows

    @repeats_on_conflict
    def _look_anew(self, now: datetime) -> list[Priority]:
        """Find out which of its own notifications have due rows, and forget the others."""
        asked = self._wanted.notifications(self._account)
        due = SendLog.objects.waiting().filter(
            notification=OuterRef("pk"), account=self._account, due_at__lte=now
        )
        have = Notification.objects.filter(Exists(due), pk__in=asked)
        found = dict(have.values_list("pk", "priority"))
        self._own = set(found)
        self._wanted.forget(self._account, set(asked) - found.keys())
        self._priority = max(found.values(), default=None)
        if self._priority is None:
            return []
        urgent = [one for one in _more_urgent(self._priority) if self._rounds[one].look(now)]
        if self._priority == Priority.BULK:
            self._rounds[Priority.BULK].look(now)
        return [*urgent, Priority(self._priority)]

    def _for_others(self, number: int, lease: "Lease") -> list[Claimed]:
        """Claim a part of so many for another BULK notification, if its own are."""
        bulk = self._rounds[Priority.BULK]
        other = bulk.first if bulk.first not in self._own else bulk.other
        if self._priority != Priority.BULK or other is None or other in self._own:
            return []
        self._owed_to_others += number * FOR_OTHERS
        part = int(self._owed_to_others)
        self._owed_to_others -= part
        return self._claim(part, lease, ("notification_id", [other]))


@dataclass(frozen=True, slots=True)
class Lease:
    """The moment of a claim: by this host's clock, and as the database's clock marks it."""

    due: datetime
    mark: datetime

    @classmethod
    def now(cls) -> "Lease":
        return cls(timezone.now(), database_clock.now())


def _more_urgent(than: int) -> list[Priority]:
    return [priority for priority in PRIORITIES if priority < than]
