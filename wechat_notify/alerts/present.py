"""What is wrong at present, by what the app knows of itself anyway: rests, closed ways, templates
that are stopped, nobody who sends, and the count of failures."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.core.cache import caches
from django.db.models import Q
from django.utils import timezone

from .. import declarations
from ..account_state import Closure, Rest, closed_ways, rest_of
from ..conf import settings
from ..models import MessageTemplate, SendLog
from ..senders import overdue_since
from ..sending import outcomes
from ..sending.outcomes import Count
from ..statistics import share_failed
from ..wechat.errors import Treatment
from ..wechat.shared_cache import cache_key
from .alert_event import QUIET, Event, Kind

FEWEST_FAILED = 20
"""Fewer failures than these within half an hour are single people's, not the account's."""
LEAST_SHARE = 0.2
"""A smaller share of failures is not told, however rare they are as a rule."""
TIMES_USUAL = 3
"""So many times the usual share is unusual: some sites write to many who have unfollowed."""
USUAL_DAYS = 7
USUAL_KEPT_SECONDS = 3600
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one account without reading its rows. ``overdue``: since when messages are
    due that nobody sends."""

    rest: Rest | None
    closed: list[Closure]
    overdue: datetime | None
    count: Count

    @classmethod
    def of(cls, account: str) -> "State":
        """Reads the cache, and the account's oldest due row where nobody was seen to send."""
        return cls(
            rest_of(account),
            closed_ways(account),
            overdue_since(account),
            outcomes.failures(account),
        )

    def as_text(self) -> str:
        """Another text whenever something of it has changed."""
        rest = self.rest and (self.rest.errcode, self.rest.until)
        closed = [(one.host, one.errcode, one.until) for one in self.closed]
        return repr((rest, closed, self.overdue, self.count))


def events(states: dict[str, State], opened: Collection[str]) -> Iterator[Event]:
    """Everything that somebody must know of. ``opened``: the keys of the alerts that are open.

    Two queries, and a third where unusually many messages fail.
    """
    for account, state in states.items():
        # Where messages wait for a rest or a closed way, that is what somebody must know.
        found = [_way(account, closure) for closure in state.closed]
        if state.rest is not None:
            found.append(_rest(account, state.rest))
        yield from (event for event in found if not _is_left_over(event))
        if state.overdue is not None and state.rest is None and not state.closed:
            yield Event(Kind.NO_SENDER, account, state.overdue)
        yield from _failures(account, state.count, opened)
    yield from _templates(states)


def _is_left_over(event: Event) -> bool:
    """Whether it has passed for all that is known, and nothing was due since that would show it."""
    return event.passing and event.until is not None and timezone.now() - event.until > QUIET


def _rest(account: str, rest: Rest) -> Event:
    return Event(
        Kind.REST,
        account,
        rest.since,
        errcode=rest.errcode,
        endpoint=rest.endpoint,
        detail=rest.errmsg,
        until=rest.until,
        passing=not _is_lasting(rest),
    )


def _is_lasting(rest: Rest) -> bool:
    """Whether it surely lasts: the day's quota is used up, or the account may not send at all.

    A refused token (40001) may be another program's fetch, and over with the next probe.
    """
    pause = rest.info.pause
    return rest.info.treatment is Treatment.ACCOUNT and pause is not None and pause.seconds is None


def _way(account: str, closure: Closure) -> Event:
    return Event(
        Kind.WAY,
        account,
        closure.since,
        subject=closure.host,
        errcode=closure.errcode,
        # The token endpoints know all codes by which WeChat refuses a host.
        endpoint="token",
        detail=closure.errmsg,
        until=closure.until,
        passing=closure.errcode is None,
    )


def _templates(accounts: Collection[str]) -> Iterator[Event]:
    """Templates that WeChat has stopped, and those that code needs and WeChat does not have."""
    stopped = Q(is_active=True, paused_at__isnull=False, pause_errcode__isnull=False)
    gone = Q(is_active=False, missing_since__isnull=False)
    rows = MessageTemplate.objects.filter(stopped | gone, account__in=list(accounts))
    for template in rows.select_related("stand_in").order_by("pk"):
        since = template.paused_at if template.is_active else template.missing_since
        needed = declarations.fields_of(template.name, template.account) is not None
        if since is None or not (template.is_active or needed):
            continue
        yield Event(
            Kind.TEMPLATE,
            template.account,
            since,
            subject=template.name,
            template=template,
            errcode=template.pause_errcode if template.is_active else None,
        )


# -- failures ---------------------------------------------------------------------------------


def _failures(account: str, count: Count, opened: Collection[str]) -> Iterator[Event]:
    event = Event(
        Kind.FAILURES, account, timezone.now(), failed=count.failed, decided=count.decided
    )
    is_open = event.key in opened
    # The usual share is counted only where it matters.
    if not is_unusual(count, is_open=is_open):
        return
    if is_unusual(count, _usual(account), is_open=is_open):
        errcode, words = _commonest(account)
        yield replace(event, errcode=errcode, detail=words)


def is_unusual(count: Count, usual: float = 0.0, *, is_open: bool = False) -> bool:
    """Whether so many failures are told; ``usual``: the share that fails as a rule.

    What is told already goes on until half of that share, so that it does not come and go.
    """
    # Where half of all messages fail as a rule, three times that would never be reached.
    much = max(LEAST_SHARE, min(TIMES_USUAL * usual, (1 + usual) / 2))
    if is_open:
        return count.failed > 0 and count.share >= much / 2
    return count.failed >= FEWEST_FAILED and count.share >= much


def _usual(account: str) -> float:
    """The share of failures in the week before today. Counted once an hour at most."""
    key, cache = cache_key("usual_failures", account), caches[settings.CACHE]
    kept: object = cache.get(key)
    if isinstance(kept, float):
        return kept
    usual = share_failed(SendLog.objects.without_tests().filter(account=account), USUAL_DAYS)
    cache.set(key, usual, USUAL_KEPT_SECONDS)
    return usual


def _commonest(account: str) -> tuple[int | None, str]:
    """The errcode that most of the newest failures have, and the words of one without any."""
    counted = SendLog.objects.without_tests()
    failed = counted.filter(account=account, status=SendLog.Status.FAILED)
    newest = list(failed.order_by("-pk").values_list("errcode", "errmsg")[:LOOKED_AT])
    if not newest:
        return None, ""
    (errcode, _n), *_more = Counter(errcode for errcode, _words in newest).most_common(1)
    return errcode, next(words for code, words in newest if code == errcode)
