"""Receipts find their rows: by msgid, else by the only row they can be about, never by guessing."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import ORDER, make_template, openid
from wechat_notify.models import Notification, Receipt, SendLog
from wechat_notify.receipts import settling, store
from wechat_notify.receipts.matching import is_success, normalise
from wechat_notify.receipts.settling import passing, settle, settle_in_passing
from wechat_notify.sending import engine
from wechat_notify.services import notify
from wechat_notify.signals import message_delivered, message_failed
from wechat_notify.wechat.incoming import Event

pytestmark = pytest.mark.django_db(transaction=True)

Status = SendLog.Status


@pytest.fixture
def notification(configure: Callable[..., None]) -> Notification:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    return Notification.objects.create(template=make_template(), data={})


@pytest.fixture
def told() -> Iterator[list[tuple[str, int]]]:
    """Which signals were sent for which rows."""
    heard: list[tuple[str, int]] = []

    def delivered(sender: Any, log: SendLog, **kwargs: Any) -> None:
        heard.append(("delivered", log.pk))

    def failed(sender: Any, log: SendLog, **kwargs: Any) -> None:
        heard.append(("failed", log.pk))

    message_delivered.connect(delivered)
    message_failed.connect(failed)
    yield heard
    message_delivered.disconnect(delivered)
    message_failed.disconnect(failed)


def row(
    notification: Notification,
    who: int = 1,
    msgid: int | None = None,
    *,
    ago: float = 60,
    **fields: Any,
) -> SendLog:
    """A row accepted by WeChat so many seconds ago."""
    at = timezone.now() - timedelta(seconds=ago)
    fields.setdefault("status", Status.SENT)
    fields.setdefault("sent_at", at)
    return SendLog.objects.create(
        notification=notification, account="default", openid=openid(who), msgid=msgid, **fields
    )


def got(
    who: int = 1,
    msgid: int = 0,
    status: str = "success",
    *,
    ago: float = 55,
    account: str = "default",
) -> Receipt:
    """A receipt as the callback stores it."""
    at = timezone.now() - timedelta(seconds=ago)
    event = Event(
        to="gh",
        from_openid=openid(who),
        created_at=at.replace(microsecond=0),
        type="event",
        msgid=msgid,
        fields={},
        event="templatesendjobfinish",
        event_key="",
        ticket="",
        status=status,
    )
    store.store(account, event)
    return Receipt.objects.order_by("-pk")[0]


def status_of(log: SendLog) -> str:
    log.refresh_from_db()
    return log.status


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("success", "success"),
        ("Success ", "success"),
        ("failed:user block", "failed:user block"),
        ("failed: system failed", "failed:system failed"),
        ("FAILED:  freq limit", "failed:freq limit"),
        ("", ""),
    ],
)
def test_normalise(raw: str, expected: str) -> None:
    """Case and blanks vary in what WeChat writes (docs/wechat-api.md, 4)."""
    assert normalise(raw) == expected
    assert is_success(raw) is (expected == "success")


def test_success_by_msgid(notification: Notification, told: list[Any]) -> None:
    """Row and receipt point to each other; the time is WeChat's; one signal."""
    log, receipt = row(notification, msgid=7), got(msgid=7)
    assert settle().delivered == 1
    log.refresh_from_db()
    receipt.refresh_from_db()
    assert log.status == Status.DELIVERED
    assert (log.receipt_at, log.receipt_status) == (receipt.event_at, "success")
    assert receipt.log == log
    assert receipt.settled_at is not None
    assert told == [("delivered", log.pk)]


def test_a_receiver_keeps_nobody_waiting(notification: Notification) -> None:
    """It may be slow, or settle receipts itself: other writers do not wait for it."""
    log = row(notification, msgid=7)
    got(msgid=7)
    found: list[int] = []
    others_turn = threading.Event()

    def take_turn() -> None:
        with store.turns.take("default"):
            others_turn.set()

    def settle_again(sender: Any, log: SendLog, **kwargs: Any) -> None:
        threading.Thread(target=take_turn, daemon=True).start()
        assert others_turn.wait(60)  # or settle() below would wait for itself
        found.append(settle().settled)

    message_delivered.connect(settle_again)
    try:
        assert settle().delivered == 1
    finally:
        message_delivered.disconnect(settle_again)
    assert others_turn.is_set()
    assert found == [0]
    assert status_of(log) == Status.DELIVERED


def test_receivers_get_rows_that_know_their_receipt(
    notification: Notification, told: list[Any], settings: Any
) -> None:
    """A replica, which may not have heard of it yet, is not asked."""
    log = row(notification, msgid=7)
    got(msgid=7)
    settings.DATABASE_ROUTERS = ["tests.routers.ReadsElsewhere"]
    assert settle().delivered == 1
    assert told == [("delivered", log.pk)]


@pytest.mark.parametrize(
    "raw", ["failed:user block", "failed: system failed", "failed:freq limit", "something new"]
)
def test_anything_else_is_undelivered(
    notification: Notification, told: list[Any], raw: str
) -> None:
    """WeChat's own words are kept as they are; the binding stays as it is."""
    log = row(notification, msgid=7)
    got(msgid=7, status=raw)
    report = settle()
    log.refresh_from_db()
    assert (report.undelivered, log.status) == (1, Status.UNDELIVERED)
    assert log.receipt_status == raw
    assert told == [("failed", log.pk)]


def test_receipt_first_row_later(notification: Notification) -> None:
    """It is kept until the row exists."""
    got(msgid=7)
    assert settle().waiting == 1
    log = row(notification, msgid=7)
    assert settle().delivered == 1
    assert status_of(log) == Status.DELIVERED


def test_receipt_before_the_row_has_its_msgid(notification: Notification) -> None:
    """While the row is still being sent nothing is decided, not even for another row."""
    sending = row(notification, status=Status.SENDING, sent_at=None)
    earlier = row(notification, msgid=None)
    got(msgid=7)
    assert settle().waiting == 1
    SendLog.objects.filter(pk=sending.pk).update(
        status=Status.SENT, msgid=7, sent_at=timezone.now()
    )
    assert settle().delivered == 1
    assert status_of(sending) == Status.DELIVERED
    assert status_of(earlier) == Status.SENT


@pytest.mark.parametrize("status", [Status.SENDING, Status.PENDING])
def test_msgid_zero_waits_for_a_row_that_is_being_sent(
    notification: Notification, status: str
) -> None:
    """Its result is not written yet, or is in doubt and tried again; but it may be the one."""
    log = row(notification, status=status, sent_at=None, in_doubt_since=timezone.now())
    got()
    assert settle().waiting == 1
    SendLog.objects.filter(pk=log.pk).update(status=Status.SENT, sent_at=timezone.now())
    assert settle().delivered == 1


def test_twice(notification: Notification, told: list[Any]) -> None:
    """The first one counts; the second is settled and changes nothing."""
    log = row(notification, msgid=7)
    got(msgid=7, ago=50)
    got(msgid=7, status="failed:user block", ago=40)
    report = settle()
    assert (report.delivered, report.repeated, report.waiting) == (1, 1, 0)
    assert status_of(log) == Status.DELIVERED
    got(msgid=7, status="failed:user block", ago=30)
    assert settle().repeated == 1
    assert status_of(log) == Status.DELIVERED
    assert told == [("delivered", log.pk)]


def test_the_same_msgid_for_somebody_else_is_not_it(notification: Notification) -> None:
    """Account and openid have to fit as well."""
    log = row(notification, who=1, msgid=7)
    got(who=2, msgid=7)
    got(who=1, msgid=7, account="other")
    assert settle().waiting == 2
    assert status_of(log) == Status.SENT


def test_msgid_zero_goes_to_the_only_open_send(notification: Notification) -> None:
    """The person's one message without a receipt; other people's are left alone."""
    log, other = row(notification, who=1, msgid=7), row(notification, who=2, msgid=8)
    got(who=1, msgid=0)
    assert settle().delivered == 1
    assert (status_of(log), status_of(other)) == (Status.DELIVERED, Status.SENT)


def test_msgid_zero_with_two_open_sends_waits(notification: Notification) -> None:
    """Until one of them is out of the question."""
    first, second = row(notification, msgid=7), row(notification, msgid=8)
    got(msgid=0)
    assert settle().waiting == 1
    got(msgid=7)
    settle()
    assert settle().waiting == 0
    assert (status_of(first), status_of(second)) == (Status.DELIVERED, Status.DELIVERED)


def test_a_zero_beside_the_rows_own_receipt_is_not_its(notification: Notification) -> None:
    """What the msgid has decided cannot be taken by a guess, whichever is older."""
    log = row(notification, msgid=7)
    zero = got(msgid=0, status="failed:user block", ago=58)
    got(msgid=7, ago=50)
    report = settle()
    zero.refresh_from_db()
    assert (report.delivered, report.waiting, zero.log) == (1, 1, None)
    assert status_of(log) == Status.DELIVERED


def test_two_zeros_for_one_row_are_not_decided(notification: Notification) -> None:
    """One of them is about something else, and nobody can say which."""
    log = row(notification, msgid=7)
    got(msgid=0, ago=50)
    got(msgid=0, status="failed:user block", ago=40)
    assert settle().waiting == 2
    assert status_of(log) == Status.SENT


@pytest.mark.parametrize("ago", [-300, 25 * 3600])
def test_a_send_outside_the_window_is_not_it(notification: Notification, ago: float) -> None:
    """Sent after the receipt, or more than a day before."""
    log = row(notification, ago=ago)
    got(msgid=0, ago=0)
    assert settle().waiting == 1
    assert status_of(log) == Status.SENT


def test_the_window_is_each_receipts_own(notification: Notification) -> None:
    """Receipts of very different times in one batch do not lend each other their windows."""
    log = row(notification, who=1, ago=30 * 3600)
    got(who=1, msgid=0, ago=0)
    got(who=2, msgid=0, ago=29 * 3600)
    assert settle().delivered == 0
    assert status_of(log) == Status.SENT


def test_an_uncertain_row_is_resolved(notification: Notification) -> None:
    """It may have been sent; the receipt says that it was."""
    doubt = timezone.now() - timedelta(seconds=60)
    log = row(notification, status=Status.UNCERTAIN, sent_at=None, in_doubt_since=doubt)
    got(msgid=99)
    assert settle().delivered == 1
    assert status_of(log) == Status.DELIVERED


@pytest.mark.parametrize(("minutes", "status"), [(14, Status.DELIVERED), (16, Status.UNCERTAIN)])
def test_a_late_receipt_is_not_about_an_uncertain_row(
    notification: Notification, minutes: int, status: str
) -> None:
    """Hours later it is about a message that another system sent to the same person."""
    doubt = timezone.now() - timedelta(minutes=minutes)
    log = row(notification, status=Status.UNCERTAIN, sent_at=None, in_doubt_since=doubt)
    got(msgid=99)
    settle()
    assert status_of(log) == status


@pytest.mark.parametrize(("hours", "status"), [(23, Status.DELIVERED), (25, Status.SENT)])
def test_a_message_under_review_waits_a_day_for_its_receipt(
    notification: Notification, hours: int, status: str
) -> None:
    """WeChat accepted it without a msgid; with another such row nothing is decided."""
    log = row(notification, sent_at=timezone.now() - timedelta(hours=hours))
    got(msgid=99)
    settle()
    assert status_of(log) == status


def test_a_msgid_of_another_system_is_not_ours(notification: Notification) -> None:
    """A row that knows its own msgid is not about another one."""
    log = row(notification, msgid=7)
    got(msgid=8)
    assert settle().waiting == 1
    assert status_of(log) == Status.SENT


@pytest.mark.parametrize("status", ["failed", "skipped", "cancelled", "expired", "delivered"])
def test_rows_that_were_not_sent_are_not_touched(
    notification: Notification, status: str, told: list[Any]
) -> None:
    """Whatever a receipt with msgid 0 says."""
    log = row(notification, status=status)
    got(msgid=0)
    assert settle().settled == 0
    assert status_of(log) == status
    assert told == []


def age(receipt: Receipt, **ago: float) -> None:
    then = timezone.now() - timedelta(**ago)
    Receipt.objects.filter(pk=receipt.pk).update(received_at=then)


def test_what_cannot_be_about_anything_here_is_given_up_after_an_hour(
    notification: Notification,
) -> None:
    """Another system's messages through the same account must not pile up."""
    receipt = got(msgid=5)
    age(receipt, minutes=59)
    assert (settle().given_up, settle().waiting) == (0, 1)
    age(receipt, minutes=61)
    report = settle()
    receipt.refresh_from_db()
    assert (report.given_up, report.waiting) == (1, 0)
    assert receipt.settled_at is not None
    assert receipt.log is None


def test_what_stays_ambiguous_is_given_up_after_a_day(notification: Notification) -> None:
    """And kept, unjoined, for whoever looks."""
    row(notification, msgid=7)
    row(notification, msgid=8)
    receipt = got(msgid=0)
    age(receipt, hours=23)
    assert (settle().given_up, settle().waiting) == (0, 1)
    age(receipt, hours=25)
    assert settle().given_up == 1
    assert settle().waiting == 0


def test_one_account_only(notification: Notification) -> None:
    """The rest is left for its own call."""
    log = row(notification, msgid=7)
    got(msgid=7)
    assert settle("other").settled == 0
    assert settle("default").delivered == 1
    assert status_of(log) == Status.DELIVERED


def test_a_batch_takes_a_constant_number_of_queries(
    notification: Notification, django_assert_num_queries: Any
) -> None:
    """One receipt or a hundred, delivered and not."""
    for count in (2, 100):
        for number in range(count):
            who = count * 1000 + number
            row(notification, who=who, msgid=who if number % 3 else None)
            got(who, who if number % 3 else 0, "failed:user block" if number % 2 else "success")
        with django_assert_num_queries(10):
            assert settle().settled == count


def test_pages_and_limit(notification: Notification) -> None:
    """All pages are read; a limit ends it; what waits in front keeps nothing back."""
    for number in range(1, 5):
        got(who=90 + number, msgid=900 + number)
    for number in range(1, 5):
        row(notification, who=number, msgid=number)
        got(who=number, msgid=number)
    assert settle(limit=2, batch_size=3).waiting == 2
    assert settle(limit=5, batch_size=3).delivered == 1
    report = settle(batch_size=3)
    assert (report.delivered, report.waiting) == (3, 4)


def test_in_passing_once_a_second(notification: Notification) -> None:
    """The first call settles, the next one does nothing until the second is over."""
    row(notification, msgid=7)
    row(notification, msgid=8)
    got(msgid=7)
    assert settle_in_passing().delivered == 1
    got(msgid=8)
    assert settle_in_passing().delivered == 0
    passing.forget()
    assert settle_in_passing().delivered == 1


def test_in_passing_goes_round(notification: Notification) -> None:
    """Undecided receipts in front cannot keep those behind them waiting for ever."""

    def turn() -> settling.SettleReport:
        passing.forget()
        return settle_in_passing(limit=4, batch_size=2)

    for number in range(6):
        got(who=90 + number, msgid=900 + number)
    row(notification, msgid=7)
    got(msgid=7)
    assert (turn().waiting, turn().delivered) == (4, 1)
    log = row(notification, who=90, msgid=900)
    for _ in range(3):
        turn()
    assert status_of(log) == Status.DELIVERED


def test_a_worker_settles_what_the_fake_wechat_says(
    wechat: Any, known_template: Any, live_server: Any, configure: Callable[..., None]
) -> None:
    """The whole way: notify, send, receipt over HTTP, joined."""
    configure(default={"CALLBACK_TOKEN": "t"}, DISPATCHER=WORKER)
    notification = notify([openid(1), openid(2)], known_template, ORDER)
    engine.deliver()
    # Connected only now, and one at a time: in memory SQLite has one connection, which the
    # server's threads share with this one.
    wechat.account.callback_url = f"{live_server.url}/wechat/default/callback/"
    wechat.account.callback_token = "t"
    for message in wechat.messages:
        status = "success" if message.openid == openid(1) else "failed:user block"
        wechat.receipt(message.openid, message.msgid, status)
        assert wechat.wait_for_callbacks(60)
    settle()
    found = dict(notification.logs.values_list("openid", "status"))
    assert found == {openid(1): Status.DELIVERED, openid(2): Status.UNDELIVERED}


WORKER = "wechat_notify.dispatchers.worker.WorkerDispatcher"
