"""From the outcome of one attempt to the next state of its row. Pure: no clock, no database.

All times are by the database's clock (``database_clock.py``).

``wechat/errors.py`` says which treatment an errcode needs. This module says what a treatment does
to a row, its binding, its template and its account.
"""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..models import SendLog
from ..types import Outcome, SendResult
from ..wechat.errors import ErrorInfo, Treatment, describe

Status = SendLog.Status

# WeChat sends one message for the same openid and client_msg_id, "effective 10 minutes, not
# guaranteed after" (docs/wechat-api.md, 2.1). A repeat must arrive before; the margin is for
# timeouts and for clocks that differ.
REPEAT_WINDOW = timedelta(minutes=10) - timedelta(seconds=45)

RETRY_FIRST = 2.0
RETRY_FACTOR = 4.0
RETRY_MOST = 3600.0
UNCOUNTED_BACKOFF = 3

# 43117 "too frequently" says "try later" but not when (docs/wechat-api.md, 2.2): few attempts.
LATER_DELAYS = (timedelta(minutes=10), timedelta(hours=1))

ASK_AGAIN = timedelta(minutes=1)
"""After so long it is asked again whether a message must still be sent, if nobody could say."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of a row when the outcome of an attempt arrives.

    ``number``: the first attempt is 1. ``doubt``: the time of the first *earlier* attempt that may
    have reached WeChat, or None. ``counts``: whether a failure to get through is this message's
    own, because other messages got through. ``repeats``: whether a repeat of a message that may
    have been sent is delivered only once. ``refused_to_many``: whether many people in a row were
    refused with the same errcode. ``has_stand_in``: another
    template takes over where WeChat refuses this one.
    """

    number: int
    started_at: datetime
    doubt: datetime | None = None
    counts: bool = True
    repeats: bool = True
    refused_to_many: bool = False
    has_stand_in: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state of a row, and what else follows from the outcome.

    ``attempted`` is False if the attempt does not count, because its failure has another cause.
    ``unreachable`` and ``refuses`` mark the binding: the person does not follow any more, or
    follows and refuses such messages. ``pauses_template``, ``pauses_account`` and ``rests_way``
    stop the other messages of the template, of the account, or of this host. ``unsent``: the row
    is as it was before. A pending row without a due date is parked until somebody resumes it.
    """

    status: Status
    due_at: datetime | None = None
    doubt: datetime | None = None
    attempted: bool = True
    unreachable: bool = False
    refuses: bool = False
    pauses_template: bool = False
    pauses_account: bool = False
    rests_way: bool = False
    unsent: bool = False

    @property
    def parks(self) -> bool:
        """Whether the row waits until somebody resumes its notification or template."""
        return self.status == Status.PENDING and self.due_at is None


_SENT = Decision(Status.SENT)


def decide(result: SendResult, attempt: Attempt, *, now: datetime, max_attempts: int) -> Decision:
    """The next state of a row after one attempt."""
    if result.outcome is Outcome.ACCEPTED:
        return _SENT
    if result.outcome is Outcome.UNKNOWN:
        doubt = attempt.doubt or attempt.started_at
        if not attempt.repeats:
            return Decision(Status.UNCERTAIN, doubt=doubt)
        return _retry(attempt, doubt, now, max_attempts)
    if result.outcome is Outcome.NOT_SENT or result.errcode is None:
        # errcode None: a gateway's error page (HTTP 503), not WeChat's answer. Try again.
        return _retry(attempt, attempt.doubt, now, max_attempts)
    return _refused(describe(result.errcode, endpoint=result.endpoint), attempt, now, max_attempts)


def _refused(info: ErrorInfo, attempt: Attempt, now: datetime, max_attempts: int) -> Decision:
    if info.treatment is Treatment.RETRY:
        return _retry(attempt, attempt.doubt, now, max_attempts)
    if info.treatment is Treatment.LATER:
        return _later(attempt, now, max_attempts)
    if info.treatment is Treatment.FAIL and attempt.doubt and not info.known:
        # WeChat may answer a repeat so: that is not documented (docs/wechat-api.md, 2.1).
        return Decision(Status.UNCERTAIN, doubt=attempt.doubt)
    if not info.known and attempt.refused_to_many and attempt.number < max_attempts:
        # The code is unknown. If everybody is refused with it, the cause is not the recipient.
        return replace(_retry(attempt, attempt.doubt, now, max_attempts), pauses_account=True)
    waits = Decision(Status.PENDING, doubt=attempt.doubt, attempted=False, unsent=True)
    decisions = {
        # WeChat already has the message, under a msgid that we do not know.
        Treatment.DUPLICATE: Decision(Status.UNCERTAIN, doubt=attempt.doubt or attempt.started_at),
        Treatment.TEMPLATE: _template_refused(attempt, waits),
        Treatment.TEMPLATE_GONE: _template_refused(
            attempt, waits if attempt.has_stand_in else Decision(Status.FAILED)
        ),
        Treatment.ACCOUNT: replace(waits, due_at=now, pauses_account=True),
        Treatment.TOKEN: replace(waits, due_at=now, pauses_account=True),
        Treatment.HOST: replace(waits, due_at=now, rests_way=True),
        Treatment.PERSON: Decision(Status.FAILED, unreachable=True),
        Treatment.PERSON_REFUSED: Decision(Status.FAILED, refuses=True),
    }
    return decisions.get(info.treatment, Decision(Status.FAILED))


def _template_refused(attempt: Attempt, otherwise: Decision) -> Decision:
    if attempt.doubt:
        # The first attempt may have arrived. With another template it would come a second time.
        otherwise = Decision(Status.UNCERTAIN, doubt=attempt.doubt)
    return replace(otherwise, pauses_template=True)


def _retry(attempt: Attempt, doubt: datetime | None, now: datetime, max_attempts: int) -> Decision:
    if not attempt.counts:
        # The way to WeChat rests, so the row itself need not wait long.
        soon = now + timedelta(seconds=backoff(min(attempt.number, UNCOUNTED_BACKOFF)))
        return replace(_again(soon, doubt), attempted=False)
    if attempt.number >= max_attempts:
        return _given_up(doubt)
    return _again(now + timedelta(seconds=backoff(attempt.number)), doubt)


def _later(attempt: Attempt, now: datetime, max_attempts: int) -> Decision:
    if attempt.number > len(LATER_DELAYS) or attempt.number >= max_attempts:
        return _given_up(attempt.doubt)
    return _again(now + LATER_DELAYS[attempt.number - 1], attempt.doubt)


def _again(due_at: datetime, doubt: datetime | None) -> Decision:
    if not may_repeat(doubt, due_at):
        return _given_up(doubt)
    return Decision(Status.PENDING, due_at=due_at, doubt=doubt)


def _given_up(doubt: datetime | None) -> Decision:
    return Decision(Status.UNCERTAIN if doubt else Status.FAILED, doubt=doubt)


def gets_through(result: SendResult) -> bool:
    """Whether WeChat itself has answered, and not with "busy".

    If not, the cause may be the way to WeChat, or WeChat itself, and not the message.
    """
    if result.outcome is Outcome.ACCEPTED:
        return True
    if result.outcome is not Outcome.REFUSED:
        return False
    return _treatment(result) not in (None, Treatment.RETRY, Treatment.HOST)


def stops_way(result: SendResult) -> bool:
    """Whether WeChat would refuse every message from this host in the same way."""
    return _treatment(result) is Treatment.HOST


def stops_account(result: SendResult) -> bool:
    """Whether WeChat would refuse every message of the account in the same way."""
    return _treatment(result) in (Treatment.ACCOUNT, Treatment.TOKEN)


def stops_template(result: SendResult) -> bool:
    """Whether WeChat would refuse every message of the template in the same way."""
    return _treatment(result) in (Treatment.TEMPLATE, Treatment.TEMPLATE_GONE)


def _treatment(result: SendResult) -> Treatment | None:
    if result.outcome is not Outcome.REFUSED or result.errcode is None:
        return None
    return describe(result.errcode, endpoint=result.endpoint).treatment


def repeat_window(repeats: bool) -> timedelta:
    """For how long a message that may have been sent can be repeated; 0 if never."""
    return REPEAT_WINDOW if repeats else timedelta(0)


def may_repeat(doubt: datetime | None, when: datetime) -> bool:
    """Whether a message that may have been sent at ``doubt`` can safely be repeated at ``when``."""
    return doubt is None or when < doubt + REPEAT_WINDOW


def before_sending(
    doubt: datetime | None,
    expires_at: datetime | None,
    *,
    now: datetime,
    repeats: bool = True,
    banned: bool = False,
    paused: bool = False,
    cancelled: bool = False,
    unknown: bool = False,
) -> Decision | None:
    """The decision on a claimed row that must not be sent; None: send it.

    ``banned``: nothing can be sent with its template. A row in doubt is repeated with no other.
    ``unknown``: whether it must still be sent cannot be found out now, so it is asked again later.

    A row may have been in flight when its notification was paused or cancelled, and is now due
    for its next attempt.
    """
    status = None
    if not may_repeat(doubt, now) or (doubt and (banned or not repeats)):
        status = Status.UNCERTAIN
    elif cancelled:
        status = Status.CANCELLED
    elif expires_at is not None and expires_at <= now:
        status = Status.EXPIRED
    elif paused:
        return Decision(Status.PENDING, doubt=doubt, attempted=False, unsent=True)
    elif unknown:
        later = now + ASK_AGAIN
        return Decision(Status.PENDING, due_at=later, doubt=doubt, attempted=False, unsent=True)
    if status is None:
        return None
    # An earlier attempt in doubt may have arrived, so the row becomes uncertain.
    return Decision(Status.UNCERTAIN if doubt else status, doubt=doubt, attempted=False)


def backoff(number: int) -> float:
    """Seconds to wait after attempt ``number``: 2, 8, 32, 128 … with jitter, an hour at most."""
    full = min(RETRY_FIRST * RETRY_FACTOR ** (number - 1), RETRY_MOST)
    return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
