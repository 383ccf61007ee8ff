"""Claims rows for the threads of a run, and stages those that may be sent."""

import sys

from ..conf import settings
from ..models import SendLog
from ..types import Outcome, SendResult
from . import database_clock, policy
from .claims import Claims, ClaimsForSome
from .ledger import Ledger
from .messages import Contents
from .outbox import Claimed
from .policy import Decision
from .sender import Job, Probe, Sender
from .track import Track
from .wanted import Wanted

Status = SendLog.Status


class Intake:
    """Claims for all accounts of a run.

    ``wanted`` selects the rows. ``limit`` is the most rows to claim, without the more urgent rows
    of other notifications that a run for some takes along.
    """

    def __init__(self, sender: Sender, ledger: Ledger, wanted: Wanted, limit: int | None) -> None:
        self._sender = sender
        self._ledger = ledger
        self._wanted = wanted
        self._left = sys.maxsize if limit is None else limit
        self._batch_size = settings.BATCH_SIZE

    @property
    def ended(self) -> bool:
        """Whether as many rows have been claimed as the run may claim."""
        return self._left == 0

    def claims(self, account: str) -> Claims:
        """What claims this account's rows."""
        if self._wanted.is_all:
            return Claims(account, without_bulk=account in self._wanted.leaves_bulk)
        return ClaimsForSome(account, self._wanted)

    def claim(self, track: Track) -> None:
        """Claim rows for an account's threads if they need some, or what is more urgent."""
        lane = track.lane
        if not self.ended and lane.open and track.wants_rows and lane.ready():
            self._claim_next(track)
        elif lane.flows:
            self._claim_more_urgent(track)

    def _claim_next(self, track: Track) -> None:
        granted = self._granted(track, self._batch_size)
        if not granted:
            return
        rows = track.claims.take(granted, self._left)
        self._take_in(track, granted, rows)
        if len(rows) < granted:
            track.lane.has_no_more()
        else:
            track.lane.has_more()

    def _claim_more_urgent(self, track: Track) -> None:
        """Claim rows that must not wait for those that this run has claimed already."""
        than = track.least_urgent
        if than is None:
            return
        room = track.room_before(than)
        if room and track.claims.sees_more_urgent(than):
            granted = self._granted(track, room)
            if granted:
                rows = track.claims.take_more_urgent(than, granted)
                self._take_in(track, granted, rows)

    def _granted(self, track: Track, wanted: int) -> int:
        """How many rows may be claimed now. Asks the backend first where that is needed."""
        lane = track.lane
        if self._wanted.is_all:
            wanted = min(wanted, self._left)
        if lane.has_rate:
            # Claim only what can be sent at once: sent in a later window, it would exceed RATE.
            wanted = min(wanted, max(0, lane.width - track.unfinished))
        granted = lane.grant(wanted) if wanted else 0
        if lane.wants_probe:
            lane.probe_begins()
            track.submit([Probe(lane)])
        return granted

    def _take_in(self, track: Track, granted: int, rows: list[Claimed]) -> None:
        self._left -= track.claims.counted(rows)
        # Before lane.claimed(): if the cache fails there, the rows must already be staged.
        self._stage(track, rows)
        track.lane.claimed(granted, len(rows))

    def _stage(self, track: Track, rows: list[Claimed]) -> None:
        contents = Contents(rows)
        now, lane = database_clock.now(), track.lane
        for row in rows:
            shared = contents.of(row)
            if shared is None:
                lane.unsent()  # the notification and its rows were deleted after the claim
                continue
            change = set.add if shared.waits else set.discard
            change(self._sender.paused_templates, shared.template_pk)
            notification = shared.notification
            decision = policy.before_sending(
                row.doubt,
                database_clock.as_databases(notification.expires_at),
                now=now,
                repeats=lane.backend.supports_repeats,
                banned=shared.waits,
                paused=notification.paused_at is not None or notification.held_at is not None,
                cancelled=notification.cancelled_at is not None
                or notification.pk in contents.withdrawn,
                unknown=notification.pk in contents.unknown,
            )
            result = None
            if decision is None and row.doubt is None and not shared.waits:
                decision, result = _refused(shared.why_not(row.data))
            if decision is None:
                track.stage(Job(row, shared, lane))
            else:
                self._ledger.note(row, shared.template_pk, decision, result)
                lane.unsent()


def _refused(reason: str) -> tuple[Decision | None, SendResult | None]:
    """What becomes of a row whose data does not fit its template any more, for this reason."""
    if not reason:
        return None, None
    return Decision(Status.FAILED, attempted=False), SendResult(Outcome.NOT_SENT, errmsg=reason)
