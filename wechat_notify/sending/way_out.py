"""The way from this process to WeChat: whether it is open, and if not, why and since when.

No connection, no answer, a proxy's refusal, an address that is not whitelisted (40164): the cause
is neither a message nor the account. This host waits and sends probes; other hosts go on.

Each process writes its own record, and stops only because of that. It inherits the record of one
that has ended. If another process of this host has one, this process sends a probe first. The
records are in the cache, where the admin and ``wechat_doctor`` read them. If the cache loses them,
that costs some calls and no message.
"""

import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import caches
from django.utils import timezone

from ..conf import settings
from ..types import Outcome, SendResult
from ..wechat.errors import Pause, describe
from ..wechat.forks import has_ended
from ..wechat.shared_cache import cache_key
from .breaker import pause_until

# Up to so many failures in a row cause no rest: the trouble may be over at once.
TRIPS_WITHOUT_REST = 8
REST_FIRST = timedelta(seconds=1)
REST_MOST = timedelta(minutes=1)
# If messages may have been sent, each probe leaves one more message in doubt: probe less often.
REST_MOST_IN_DOUBT = timedelta(minutes=10)
# If one message fails, the cause may be that message. If two fail, it is the way.
ENOUGH_ROWS = 2
KEPT = timedelta(days=7)
# A process whose record is older than this has ended, or sends nothing any more.
STALE = timedelta(hours=1)
# After an answer of WeChat's, a process ignores for so long the records of other processes.
OPEN_SECONDS = 60.0

_answered_at: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Closure:
    """Why one process sends nothing: the answer it got, since when, until when.

    After ``until`` it sends a probe. ``errcode`` is None if the answer was not WeChat's. ``trips``
    counts the failures in a row. ``rows``: the first messages that failed since WeChat's last
    answer.
    """

    host: str
    process: int
    errcode: int | None
    errmsg: str
    since: datetime
    until: datetime
    trips: int = 0
    rows: tuple[int, ...] = ()

    @property
    def lasts(self) -> bool:
        """Whether it is too early for a probe."""
        return timezone.now() < self.until

    @property
    def is_worth_telling(self) -> bool:
        """Whether it was more than a message or two that did not get through."""
        return self.trips > 1 or self.errcode is not None

    @property
    def in_words(self) -> str:
        """WeChat's own words or the transport's, with the errcode if there is one."""
        return f"{self.errmsg} (errcode {self.errcode})" if self.errcode else self.errmsg


class WayOut:
    """This process's way to WeChat for one account."""

    def __init__(self, alias: str) -> None:
        self._key = _key(alias)
        self._host = socket.gethostname()
        self._process = os.getpid()

    def closure(self) -> Closure | None:
        """Why the way is closed, or a probe must be sent first; None: it is open."""
        here = [one for one in _stored(self._key) if one.host == self._host]
        own = next(filter(self._is_own, here), None)
        if own is not None:
            return own
        answered_at = _answered_at.get(self._key, -OPEN_SECONDS)
        if not here or time.monotonic() - answered_at < OPEN_SECONDS:
            return None
        # It is another process's record: do not rest, but send a probe first.
        return replace(here[0], until=timezone.now(), trips=1, rows=())

    def failed(self, rows: list[int], result: SendResult) -> Closure:
        """No message in flight got through; ``rows`` are those that failed for the first time.

        After a single message the next one is sent at once as a probe. Without ``rows``, only
        messages failed that had failed before while others got through.
        """
        before = self._own()
        known = before.rows if before else ()
        if not rows:
            trips = before.trips if before else 0
            return self._close(result, before, timedelta(0), known, trips=trips)
        distinct = tuple(dict.fromkeys((*known, *rows)))[:ENOUGH_ROWS]
        if len(distinct) < ENOUGH_ROWS:
            return self._close(result, before, timedelta(0), distinct)
        doubt = result.outcome is Outcome.UNKNOWN
        trips = (before.trips if before else 0) + 1
        rest = _rest(trips, REST_MOST_IN_DOUBT if doubt else REST_MOST)
        return self._close(result, before, rest, distinct, trips=trips)

    def unanswered(self, result: SendResult) -> Closure:
        """A probe without a message got no answer of WeChat's."""
        before = self._own()
        trips = (before.trips if before else 0) + 1
        rows = before.rows if before else ()
        return self._close(result, before, _rest(trips, REST_MOST), rows, trips=trips)

    def refused(self, result: SendResult) -> Closure:
        """WeChat refuses this host (40164). Somebody must correct that, so probes become rarer."""
        before = self._own()
        same = before is not None and before.errcode == result.errcode
        if before is not None and same and before.lasts:
            return before  # every message in flight brings the same refusal: count it once
        trips = before.trips + 1 if before is not None and same else 1
        pause = describe(result.errcode or 0, endpoint=result.endpoint).pause or Pause()
        now = timezone.now()
        return self._close(result, before, pause_until(pause, now, trips) - now, (), trips=trips)

    def open(self) -> None:
        """WeChat has answered this process."""
        _answered_at[self._key] = time.monotonic()
        self._write(None)

    def _own(self) -> Closure | None:
        return next(filter(self._is_own, _stored(self._key)), None)

    def _is_own(self, closure: Closure) -> bool:
        """Whether this process wrote the record, or inherits it from one that has ended.

        Each run of ``wechat_deliver`` from cron is a new process; it must not begin anew.
        """
        if closure.host != self._host:
            return False
        return closure.process == self._process or has_ended(closure.process)

    def _close(
        self,
        result: SendResult,
        before: Closure | None,
        rest: timedelta,
        rows: tuple[int, ...],
        *,
        trips: int = 0,
    ) -> Closure:
        now = timezone.now()
        here = [one.since for one in _stored(self._key) if one.host == self._host]
        closure = Closure(
            host=self._host,
            process=self._process,
            errcode=result.errcode,
            errmsg=result.errmsg,
            since=before.since if before else min(here, default=now),
            until=now + rest,
            trips=trips,
            rows=rows,
        )
        _answered_at.pop(self._key, None)
        self._write(closure)
        return closure

    def _write(self, closure: Closure | None) -> None:
        """Replace this process's record; None: delete it."""
        stored = _stored(self._key)
        others = [one for one in stored if not self._is_own(one)]
        if closure is not None or len(others) < len(stored):
            _store(self._key, [*others, closure] if closure else others)


def closures(alias: str) -> list[Closure]:
    """The records of all processes whose way to WeChat is closed, ordered by host."""
    return sorted(_stored(_key(alias)), key=lambda one: (one.host, one.since))


def forget_closures(alias: str) -> None:
    """Delete the records, so that every process sends again at once."""
    caches[settings.CACHE].delete(_key(alias))


def _rest(trips: int, most: timedelta) -> timedelta:
    """How long to wait after so many failures in a row: first not at all, then twice as long."""
    if trips <= TRIPS_WITHOUT_REST:
        return timedelta(0)
    rest: timedelta = min(REST_FIRST * 2 ** min(trips - TRIPS_WITHOUT_REST - 1, 16), most)
    return rest


def _key(alias: str) -> str:
    return cache_key("ways", settings.account(alias).app_id, alias)


def _stored(key: str) -> list[Closure]:
    """The records in the cache, without those of processes that have ended."""
    found = caches[settings.CACHE].get(key)
    entries = [_restored(entry) for entry in found] if isinstance(found, list) else []
    limit = timezone.now() - STALE
    return [one for one in entries if one is not None and one.until > limit]


def _store(key: str, entries: list[Closure]) -> None:
    plain = [
        asdict(one) | {"since": one.since.isoformat(), "until": one.until.isoformat()}
        for one in entries
    ]
    caches[settings.CACHE].set(key, plain, int(KEPT.total_seconds()))


def _restored(entry: Any) -> Closure | None:
    try:
        moments = {name: datetime.fromisoformat(entry[name]) for name in ("since", "until")}
        return Closure(**{**entry, **moments, "rows": tuple(entry["rows"])})
    except (KeyError, TypeError, ValueError):
        return None  # another version's
