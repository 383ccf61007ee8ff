"""From the outcome of one attempt to the next state of its row. Pure: no clock, no database.

The knowledge about errcodes is in ``wechat/errors.py``; here stands what each treatment does to a
row, its binding, its template and its account.
"""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..models import SendLog
from ..types import Outcome, SendResult
from ..wechat.errors import ErrorInfo, Treatment, describe

Status = SendLog.Status

# WeChat sends one message for the same openid and client_msg_id, "effective 10 minutes, not
# guaranteed after" (WECHAT.md 2.1). A repeat must arrive inside; the margin is for timeouts and
# for clocks that differ.
REPEAT_WINDOW = timedelta(minutes=10) - timedelta(seconds=45)

RETRY_FIRST = 2.0
RETRY_FACTOR = 4.0
RETRY_MOST = 3600.0

# 43117 "too frequently" is undocumented; minutes to hours, few attempts (WECHAT.md 2.2).
LATER_DELAYS = (timedelta(minutes=10), timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of a row when the outcome of an attempt arrives.

    ``number`` counts this attempt. ``doubt`` is the moment of an *earlier* attempt that may have
    reached WeChat, or None.
    """

    number: int
    started_at: datetime
    doubt: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state of a row, and what else the outcome says.

    ``attempted`` is False where the attempt must not count, because it was not the row's fault.
    ``unreachable`` and ``refuses`` mark the binding: the person does not follow any more, or
    follows and gets no such message. ``pauses_template`` and ``pauses_account`` stop the rest.
    A pending row without a due date is parked until somebody resumes it.
    """

    status: Status
    due_at: datetime | None = None
    doubt: datetime | None = None
    attempted: bool = True
    unreachable: bool = False
    refuses: bool = False
    pauses_template: bool = False
    pauses_account: bool = False

    @property
    def parks(self) -> bool:
        """Whether the row waits until somebody resumes its notification or template."""
        return self.status == Status.PENDING and self.due_at is None


def decide(result: SendResult, attempt: Attempt, *, now: datetime, max_attempts: int) -> Decision:
    """The next state of a row after one attempt."""
    if result.outcome is Outcome.ACCEPTED:
        return Decision(Status.SENT)
    if result.outcome is Outcome.UNKNOWN:
        doubt = attempt.doubt or attempt.started_at
        return _retry(attempt, doubt, now, max_attempts)
    if result.outcome is Outcome.NOT_SENT or result.errcode is None:
        # errcode None: a gateway's page that speaks of no message (HTTP 503), to be tried again.
        return _retry(attempt, attempt.doubt, now, max_attempts)
    return _refused(describe(result.errcode, endpoint=result.endpoint), attempt, now, max_attempts)


def _refused(info: ErrorInfo, attempt: Attempt, now: datetime, max_attempts: int) -> Decision:
    if info.treatment is Treatment.RETRY:
        return _retry(attempt, attempt.doubt, now, max_attempts)
    if info.treatment is Treatment.LATER:
        return _later(attempt, now, max_attempts)
    if info.treatment is Treatment.FAIL and attempt.doubt and not info.known:
        # What a repeat is answered is not known (WECHAT.md 2.1): perhaps that it was one.
        return Decision(Status.UNCERTAIN, doubt=attempt.doubt)
    waits = Decision(Status.PENDING, doubt=attempt.doubt, attempted=False)
    decisions = {
        # WeChat already has it, under a msgid that we were not told.
        Treatment.DUPLICATE: Decision(Status.UNCERTAIN, doubt=attempt.doubt or attempt.started_at),
        Treatment.TEMPLATE: replace(waits, pauses_template=True),
        Treatment.TEMPLATE_GONE: Decision(Status.FAILED, pauses_template=True),
        Treatment.ACCOUNT: replace(waits, due_at=now, pauses_account=True),
        Treatment.TOKEN: replace(waits, due_at=now, pauses_account=True),
        Treatment.PERSON: Decision(Status.FAILED, unreachable=True),
        Treatment.PERSON_REFUSED: Decision(Status.FAILED, refuses=True),
    }
    return decisions.get(info.treatment, Decision(Status.FAILED))


def _retry(attempt: Attempt, doubt: datetime | None, now: datetime, max_attempts: int) -> Decision:
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


def stops_account(result: SendResult) -> bool:
    """Whether the same refusal awaits every other message of the account."""
    return _treatment(result) in (Treatment.ACCOUNT, Treatment.TOKEN)


def stops_template(result: SendResult) -> bool:
    """Whether the same refusal awaits every other message of the template."""
    return _treatment(result) in (Treatment.TEMPLATE, Treatment.TEMPLATE_GONE)


def _treatment(result: SendResult) -> Treatment | None:
    if result.outcome is not Outcome.REFUSED or result.errcode is None:
        return None
    return describe(result.errcode, endpoint=result.endpoint).treatment


def may_repeat(doubt: datetime | None, when: datetime) -> bool:
    """Whether a message that may have been sent since ``doubt`` can safely be repeated then."""
    return doubt is None or when < doubt + REPEAT_WINDOW


def before_sending(
    doubt: datetime | None,
    expires_at: datetime | None,
    *,
    now: datetime,
    paused: bool = False,
    cancelled: bool = False,
) -> Decision | None:
    """Why a claimed row must not be sent after all; None: send it.

    A row that was in flight when its notification was paused or called off comes by here before
    its next attempt.
    """
    status = None
    if not may_repeat(doubt, now):
        status = Status.UNCERTAIN
    elif cancelled:
        status = Status.CANCELLED
    elif expires_at is not None and expires_at <= now:
        status = Status.EXPIRED
    elif paused:
        return Decision(Status.PENDING, doubt=doubt, attempted=False)
    if status is None:
        return None
    # In doubt stays in doubt: an earlier attempt may have arrived.
    return Decision(Status.UNCERTAIN if doubt else status, doubt=doubt, attempted=False)


def backoff(number: int) -> float:
    """Seconds to wait after attempt ``number``: 2, 8, 32, 128 … with jitter, an hour at most."""
    full = min(RETRY_FIRST * RETRY_FACTOR ** (number - 1), RETRY_MOST)
    return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
