"""What becomes of a row after each outcome (errcodes: docs/wechat-api.md, 2.2)."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.models import SendLog
from wechat_notify.sending import policy
from wechat_notify.sending.policy import REPEAT_WINDOW, Attempt, Decision, decide
from wechat_notify.types import Outcome, SendResult

Status = SendLog.Status
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=timezone.utc)
LONG_AGO = NOW - timedelta(minutes=20)


def after(
    outcome: Outcome,
    errcode: int | None = None,
    *,
    number: int = 1,
    doubt: datetime | None = None,
    endpoint: str = "send",
) -> Decision:
    result = SendResult(outcome, errcode, endpoint=endpoint)  # type: ignore[arg-type]
    return decide(result, Attempt(number, NOW, doubt), now=NOW, max_attempts=5)


def refused(errcode: int | None, **kwargs: object) -> Decision:
    return after(Outcome.REFUSED, errcode, **kwargs)  # type: ignore[arg-type]


def test_an_accepted_message_is_sent() -> None:
    """errcode 0 means accepted, whatever was in doubt before."""
    assert after(Outcome.ACCEPTED, 0) == Decision(Status.SENT)
    assert after(Outcome.ACCEPTED, 0, doubt=NOW) == Decision(Status.SENT)


@pytest.mark.parametrize("errcode", [-1, 268487001, 268487002, None])
def test_a_busy_platform_or_gateway_is_tried_again(errcode: int | None) -> None:
    """-1, the platform's other words for busy, and an HTTP 503 page: later, with backoff."""
    decision = refused(errcode)
    assert decision.status == Status.PENDING
    assert decision.due_at is not None
    assert NOW < decision.due_at <= NOW + timedelta(seconds=2)
    assert decision.doubt is None
    assert decision.attempted


def test_no_connection_is_tried_again_without_doubt() -> None:
    """A message that never left cannot have arrived."""
    decision = after(Outcome.NOT_SENT)
    assert decision.status == Status.PENDING
    assert decision.doubt is None


def test_a_lost_answer_leaves_doubt_from_the_first_such_attempt() -> None:
    """The ten minutes run from the first attempt that may have arrived, not from the last."""
    first = after(Outcome.UNKNOWN)
    assert (first.status, first.doubt) == (Status.PENDING, NOW)
    earlier = NOW - timedelta(minutes=3)
    assert after(Outcome.UNKNOWN, number=2, doubt=earlier).doubt == earlier


def test_doubt_outlives_later_refusals() -> None:
    """A busy answer to the second attempt says nothing about the first."""
    assert refused(-1, number=2, doubt=NOW).doubt == NOW


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.REFUSED])
def test_in_doubt_outside_the_window_nothing_is_repeated(outcome: Outcome) -> None:
    """The engine does not guess: a repeat that WeChat may not recognise is a person's to order."""
    decision = after(outcome, number=2, doubt=LONG_AGO)
    assert (decision.status, decision.due_at) == (Status.UNCERTAIN, None)
    assert decision.doubt == LONG_AGO


def test_attempts_used_up() -> None:
    """Failed where it cannot have arrived, uncertain where it may have."""
    assert refused(-1, number=5).status == Status.FAILED
    assert after(Outcome.NOT_SENT, number=5).status == Status.FAILED
    assert after(Outcome.UNKNOWN, number=5).status == Status.UNCERTAIN
    assert refused(-1, number=5, doubt=NOW).status == Status.UNCERTAIN


def test_what_is_not_the_rows_fault_uses_up_nothing() -> None:
    """Tried again and again, its attempts not counted; in doubt no longer than a repeat is safe."""
    alone = Attempt(9, NOW, counts=False)
    for outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN):
        decision = decide(SendResult(outcome), alone, now=NOW, max_attempts=5)
        assert decision.status == Status.PENDING
        assert not decision.attempted
    doubtful = Attempt(2, NOW, LONG_AGO, counts=False)
    ended = decide(SendResult(Outcome.NOT_SENT), doubtful, now=NOW, max_attempts=5)
    assert ended.status == Status.UNCERTAIN


def test_without_repeats_a_lost_answer_is_uncertain_at_once() -> None:
    """The backend does not say that it absorbs them."""
    attempt = Attempt(1, NOW, repeats=False)
    decision = decide(SendResult(Outcome.UNKNOWN), attempt, now=NOW, max_attempts=5)
    assert decision == Decision(Status.UNCERTAIN, doubt=NOW)
    assert policy.before_sending(NOW, None, now=NOW, repeats=False) is not None
    assert policy.before_sending(None, None, now=NOW, repeats=False) is None


@pytest.mark.parametrize("errcode", [40003, 43004, 46004, 49003, 50005])
def test_codes_that_speak_of_the_person_mark_the_binding(errcode: int) -> None:
    """Not following: this row fails, and the next message does not even try."""
    assert refused(errcode) == Decision(Status.FAILED, unreachable=True)


@pytest.mark.parametrize("errcode", [43101, 43019, 48002, 50002])
def test_a_person_who_refuses_still_follows(errcode: int) -> None:
    """The row fails and the binding carries the code; the next message is tried all the same."""
    assert refused(errcode) == Decision(Status.FAILED, refuses=True)


@pytest.mark.parametrize("errcode", [47003, 40039, 40165, 40249, 47001, 45164, 999999, 43999])
def test_permanent_and_unknown_codes_fail_this_row_alone(errcode: int) -> None:
    """Never looped, nobody else harmed."""
    assert refused(errcode) == Decision(Status.FAILED)


@pytest.mark.parametrize("errcode", [45009, 45011, 48001, 48004, 50007])
def test_what_concerns_everybody_pauses_the_account(errcode: int) -> None:
    """The row stays pending, due at once and its attempt not counted."""
    decision = refused(errcode)
    assert decision.pauses_account
    assert (decision.status, decision.due_at) == (Status.PENDING, NOW)
    assert not decision.attempted


@pytest.mark.parametrize("errcode", [40164, 61004, 89503])
def test_an_address_that_is_not_whitelisted_rests_this_host_alone(errcode: int) -> None:
    """Other hosts' addresses may be: docs/wechat-api.md, 12.2."""
    decision = refused(errcode)
    assert decision.rests_way
    assert not decision.pauses_account
    assert (decision.status, decision.due_at, decision.attempted) == (Status.PENDING, NOW, False)


@pytest.mark.parametrize("errcode", [40001, 40013, 40125, 41002, 41004, 40243, 50004])
def test_a_refused_token_endpoint_pauses_the_account(errcode: int) -> None:
    """40001 there is a wrong secret; no row is to blame."""
    decision = refused(errcode, endpoint="token")
    assert decision.pauses_account
    assert not decision.attempted


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_token_refused_even_after_the_clients_repeat_pauses_the_account(errcode: int) -> None:
    """The client has fetched a new one already; more of the same would be a loop."""
    assert refused(errcode).pauses_account


def test_a_banned_template_is_paused_and_its_rows_wait() -> None:
    """43116: pending without a due date until somebody resumes the template."""
    decision = refused(43116)
    assert decision.pauses_template
    assert (decision.status, decision.due_at, decision.attempted) == (Status.PENDING, None, False)


@pytest.mark.parametrize("errcode", [40036, 40037])
def test_an_unknown_template_fails_the_row_and_holds_the_others(errcode: int) -> None:
    """Deleted or mistyped: this row says so, and no further call is wasted on the template."""
    decision = refused(errcode)
    assert decision.status == Status.FAILED
    assert decision.pauses_template


def test_too_many_messages_to_one_person_wait_long_and_not_often() -> None:
    """43117: ten minutes, an hour, then failed."""
    assert refused(43117).due_at == NOW + timedelta(minutes=10)
    assert refused(43117, number=2).due_at == NOW + timedelta(hours=1)
    assert refused(43117, number=3).status == Status.FAILED


def test_too_many_messages_to_one_person_forget_no_doubt() -> None:
    """43117 ten minutes from now is outside the window of a message that may have arrived."""
    assert refused(43117, number=2, doubt=NOW) == Decision(Status.UNCERTAIN, doubt=NOW)
    assert refused(43117, number=3, doubt=NOW) == Decision(Status.UNCERTAIN, doubt=NOW)


def test_an_unknown_answer_to_a_repeat_leaves_the_doubt() -> None:
    """Nobody knows what WeChat answers to a repeat that it absorbs; a receipt may still tell."""
    assert refused(999999, number=2, doubt=NOW) == Decision(Status.UNCERTAIN, doubt=NOW)
    assert refused(47003, number=2, doubt=NOW).status == Status.FAILED
    at_rest = refused(999999, number=2, doubt=NOW, endpoint="token")
    assert (at_rest.status, at_rest.doubt) == (Status.PENDING, NOW)
    assert at_rest.pauses_account


def test_a_duplicate_is_not_sent_again() -> None:
    """40241: WeChat has it, under a msgid that nobody told us."""
    assert refused(40241).status == Status.UNCERTAIN


def test_before_sending_expiry_and_doubt_are_looked_at() -> None:
    """A late message is not sent; one in doubt outside the window neither."""
    assert policy.before_sending(None, None, now=NOW) is None
    assert policy.before_sending(NOW, NOW + timedelta(seconds=1), now=NOW) is None
    late = policy.before_sending(None, NOW, now=NOW)
    assert late is not None
    assert late.status == Status.EXPIRED
    doubtful = policy.before_sending(NOW, NOW, now=NOW)
    assert doubtful is not None
    assert doubtful.status == Status.UNCERTAIN
    old = policy.before_sending(LONG_AGO, None, now=NOW)
    assert old is not None
    assert old.status == Status.UNCERTAIN


def test_what_nobody_can_say_now_is_asked_again() -> None:
    """Whether it must still be sent, that is. What has ended meanwhile has ended."""
    again = policy.before_sending(None, None, now=NOW, unknown=True)
    assert again is not None
    assert (again.status, again.due_at, again.unsent) == ("pending", NOW + policy.ASK_AGAIN, True)
    late = policy.before_sending(None, NOW, now=NOW, unknown=True)
    assert late == Decision(Status.EXPIRED, attempted=False)


@given(number=st.integers(min_value=1, max_value=40))
def test_backoff_grows_with_jitter_and_ends_at_an_hour(number: int) -> None:
    """Between half of the full delay and the full delay."""
    full = min(2.0 * 4.0 ** (number - 1), 3600.0)
    assert full / 2 <= policy.backoff(number) <= full


@given(
    outcome=st.sampled_from(Outcome),
    errcode=st.one_of(st.none(), st.integers(min_value=-1, max_value=100_000)),
    number=st.integers(min_value=1, max_value=10),
    doubt=st.one_of(
        st.none(),
        st.integers(min_value=0, max_value=1200).map(lambda s: NOW - timedelta(seconds=s)),
    ),
    endpoint=st.sampled_from(["send", "token"]),
)
def test_nothing_in_doubt_is_ever_repeated_outside_the_window(
    outcome: Outcome, errcode: int | None, number: int, doubt: datetime | None, endpoint: str
) -> None:
    """Whatever WeChat answers, a counted retry of a doubtful message is due inside the window."""
    decision = after(outcome, errcode, number=number, doubt=doubt, endpoint=endpoint)
    assert decision.status in (
        Status.SENT,
        Status.PENDING,
        Status.FAILED,
        Status.UNCERTAIN,
    )
    if decision.status == Status.PENDING and doubt:
        assert decision.doubt == doubt
    if decision.status == Status.PENDING and decision.attempted:
        assert number < 5
        assert decision.due_at is not None
        assert decision.doubt is None or decision.due_at < decision.doubt + REPEAT_WINDOW
