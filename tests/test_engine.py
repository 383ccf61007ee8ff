"""The delivery loop against a fake WeChat that bites, over real HTTP."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import (
    APP_SECRET,
    ORDER,
    make_binding,
    make_bindings,
    make_template,
    openid,
    sandbox_template,
)
from tests.waiting import PATIENCE, wait_until
from tests.wire import Wire, wire
from wechat_notify import signals
from wechat_notify.backends.base import BaseBackend
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending import engine
from wechat_notify.sending.breaker import Breaker
from wechat_notify.sending.lane import Lane
from wechat_notify.sending.policy import REPEAT_WINDOW
from wechat_notify.sending.way_out import closures
from wechat_notify.services import cancel, notify, pause, resume, resume_account, resume_template
from wechat_notify.types import Outcome, SendResult, TemplateMessage

Status = SendLog.Status
pytestmark = pytest.mark.django_db(transaction=True)

INLINE = "wechat_notify.dispatchers.inline.InlineDispatcher"
SEND = "/cgi-bin/message/template/send"
WORKER = "wechat_notify.dispatchers.worker.WorkerDispatcher"


@pytest.fixture
def queue(configure: Callable[..., None], known_template: MessageTemplate) -> Callable[..., Any]:
    """Write a notification that nobody delivers until the test says so."""
    configure(DISPATCHER=WORKER)

    def write(people: Any = 1, **options: Any) -> Notification:
        users = [openid(n) for n in range(people)] if isinstance(people, int) else people
        return notify(users, known_template, ORDER, **options)

    return write


def statuses(notification: Notification) -> dict[str, int]:
    return {status: n for status, n in notification.counts.items() if n}


def make_due() -> None:
    """Let time pass for every row that waits for its next attempt."""
    SendLog.objects.filter(status=Status.PENDING).update(due_at=timezone.now())


@pytest.fixture
def line(wechat: Sandbox, configure: Callable[..., None]) -> Iterator[Wire]:
    """The default account sends over a wire on which the test can hold requests."""
    with wire(wechat.url) as made:
        configure(default={"API_BASE": made.url})
        yield made


@contextmanager
def beside(*steps: Callable[[], Any]) -> Iterator[None]:
    """While the block runs, another thread takes these steps; all of them, or the test fails."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: [step() for step in steps])
        yield
        done.result()


def deliver_all(seconds: float = PATIENCE) -> engine.Report:
    """Deliver until nothing is open, without waiting for backoff, only for the way out."""
    report, ends = engine.Report(), time.monotonic() + seconds
    while SendLog.objects.filter(status__in=SendLog.OPEN).exists() and time.monotonic() < ends:
        make_due()
        report.add(engine.deliver())
        if report.at_rest:
            time.sleep(0.2)
    return report


# -- the ordinary day -------------------------------------------------------------------------


def test_what_goes_over_the_wire(wechat: Sandbox, queue: Callable[..., Any]) -> None:
    """touser, template_id, data, url, mini program and a fixed client_msg_id, as documented."""
    notification = queue(
        [openid(1)],
        url="/orders/7/",
        miniprogram={"appid": "wx1", "pagepath": "pages/order?id=7"},
    )
    engine.deliver()
    [message] = wechat.messages
    assert message.openid == openid(1)
    assert message.data == {
        "character_string1": {"value": "2026112301"},
        "thing2": {"value": "围巾"},
    }
    assert message.url == "https://school.example/orders/7/"
    assert message.miniprogram == {"appid": "wx1", "pagepath": "pages/order?id=7"}
    assert message.client_msg_id
    log = notification.logs.get()
    assert (log.status, log.msgid, log.errcode, log.attempts) == ("sent", message.msgid, 0, 1)
    assert log.due_at is None


def test_oldest_due_first(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """A limit takes the rows that have waited longest."""
    late, early = queue([openid(1)]), queue([openid(2)])
    early.logs.update(due_at=timezone.now() - timedelta(minutes=1))
    engine.deliver(limit=1)
    assert list(wechat.counts) == [openid(2)]
    assert statuses(late) == {"pending": 1}


def test_the_number_of_queries_does_not_grow_with_the_batch(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """Claims and results are written in bulk: ten rows and ninety cost the same statements."""
    found = []
    for people in (10, 90):
        queue(people)
        with CaptureQueriesContext(connection) as captured:
            engine.deliver()
        writes = [q for q in captured if "UPDATE" in q["sql"] and "attempts" in q["sql"]]
        found.append(len(writes))
    # A sweep, two claims; results in one or, where a second passes meanwhile, two statements.
    assert max(found) <= 5


def test_no_more_connections_than_requests_in_flight(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """The pool keeps its connections: never one for each message."""
    configure(CONCURRENCY=8)
    queue(200)
    assert engine.deliver().sent == 200
    assert wechat.max_in_flight <= 8
    # One more for the token, fetched before the pool is warm.
    assert wechat.connections <= 9


def test_rows_of_every_account_are_delivered(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """One run serves all accounts, each through its own backend."""
    template = make_template(account="other")
    queue(3)
    notify([openid(9)], template, ORDER)
    report = engine.deliver()
    assert report.sent == 4
    assert len(wechat.messages) == 3


def test_signals_tell_what_became_of_each(wechat: Sandbox, queue: Callable[..., Any]) -> None:
    """message_sent and message_failed carry the row; a receiver that raises stops nothing."""
    wechat.fail(43101, openid=openid(1))
    told: list[tuple[str, str]] = []

    def sent(log: SendLog, **kwargs: Any) -> None:
        told.append(("sent", log.openid))
        raise RuntimeError("somebody else's mistake")

    def failed(log: SendLog, **kwargs: Any) -> None:
        told.append(("failed", log.openid))

    signals.message_sent.connect(sent)
    signals.message_failed.connect(failed)
    try:
        queue(3)
        engine.deliver()
    finally:
        signals.message_sent.disconnect(sent)
        signals.message_failed.disconnect(failed)
    assert sorted(told) == [("failed", openid(1)), ("sent", openid(0)), ("sent", openid(2))]


# -- one bad recipient ------------------------------------------------------------------------


def test_an_unfollowed_person_fails_alone_and_is_marked(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """43004: that row fails, that binding is marked, the rest go on."""
    bindings = make_bindings(5)
    wechat.fail(43004, openid=bindings[2].openid, times=None)
    notification = queue(bindings)
    engine.deliver()
    assert statuses(notification) == {"sent": 4, "failed": 1}
    log = notification.logs.get(status=Status.FAILED)
    assert (log.binding, log.errcode) == (bindings[2], 43004)
    assert log.rid
    marked = OpenIDBinding.objects.get(subscribed=False)
    assert (marked, marked.unreachable_errcode) == (bindings[2], 43004)
    again = queue(bindings)
    assert statuses(again) == {"pending": 4, "skipped": 1}


@pytest.mark.parametrize("errcode", [40003, -41000])
def test_a_follower_is_not_muted_by_a_code_that_may_pass(
    wechat: Sandbox, queue: Callable[..., Any], errcode: int
) -> None:
    """40003 has been answered for people who follow: WeChat is asked, and the next one is sent."""
    bindings = make_bindings(3)
    for binding in bindings[:2]:
        wechat.fail(errcode, openid=binding.openid)
    wechat.state.unfollow(bindings[1].openid)
    notification = queue(bindings)
    engine.deliver()
    assert statuses(notification) == {"sent": 1, "failed": 2}
    followers = OpenIDBinding.objects.filter(subscribed=True)
    assert set(followers) == {bindings[0], bindings[2]}
    assert wechat.calls["/cgi-bin/user/info/batchget"] == 1
    assert statuses(queue(bindings)) == {"pending": 2, "skipped": 1}


def test_nobody_is_muted_while_wechat_cannot_be_asked(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """The binding carries the code; the next refusal asks again."""
    [binding] = make_bindings(1)
    wechat.fail(40003)
    wechat.http_error(503, path="/cgi-bin/user/info/batchget", times=None)
    queue([binding])
    engine.deliver()
    binding.refresh_from_db()
    assert (binding.subscribed, binding.unreachable_errcode) == (True, 40003)


def test_a_person_who_refuses_is_marked_and_still_written_to(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """43101 speaks of this message: the binding shows it, and the next one may be welcome."""
    bindings = make_bindings(2)
    wechat.fail(43101, openid=bindings[0].openid)
    notification = queue(bindings)
    engine.deliver()
    assert statuses(notification) == {"sent": 1, "failed": 1}
    marked = OpenIDBinding.objects.get(unreachable_errcode=43101)
    assert (marked, marked.subscribed) == (bindings[0], True)
    assert statuses(queue(bindings)) == {"pending": 2}


def test_newer_news_of_following_is_not_overwritten(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """A person who followed again after the message was taken up stays subscribed."""
    binding = make_binding(follow_changed_at=timezone.now() + timedelta(seconds=30))
    wechat.fail(43004)
    queue([binding])
    engine.deliver()
    binding.refresh_from_db()
    assert binding.subscribed


def test_a_recipient_that_always_fails_does_not_stop_the_others(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """One person's -1 for ever: everybody else is sent in the first run."""
    wechat.fail(-1, openid=openid(0), times=None)
    notification = queue(60)
    assert engine.deliver().sent == 59
    deliver_all()
    assert statuses(notification) == {"sent": 59, "failed": 1}
    assert notification.logs.get(status=Status.FAILED).attempts == 5


# -- trouble on the way -----------------------------------------------------------------------

TROUBLE: list[tuple[str, Callable[[Sandbox], Any], str, int]] = [
    ("busy for a while", lambda w: w.fail(-1, times=7), "sent", 0),
    ("nobody at the gateway", lambda w: w.http_error(503, times=7), "sent", 0),
    ("a gateway's page", lambda w: w.http_error(502, times=7), "sent", 0),
    (
        "a gateway's page after acceptance",
        lambda w: w.http_error(502, accepted=True, times=7),
        "sent",
        7,
    ),
    (
        "a gateway's time-out after acceptance",
        lambda w: w.http_error(504, accepted=True, times=7),
        "sent",
        7,
    ),
    ("reset before acceptance", lambda w: w.reset(accepted=False, times=7), "sent", 0),
    ("reset after acceptance", lambda w: w.reset(accepted=True, times=7), "sent", 7),
    ("half-written JSON", lambda w: w.truncate(times=7), "sent", 7),
    (
        "broken JSON in a whole answer",
        lambda w: w.truncate(cut_connection=False, times=7),
        "sent",
        7,
    ),
]


@pytest.mark.parametrize(
    ("trouble", "ends", "absorbed"),
    [case[1:] for case in TROUBLE],
    ids=[case[0] for case in TROUBLE],
)
def test_after_passing_trouble_everybody_has_exactly_one(
    wechat: Sandbox,
    queue: Callable[..., Any],
    configure: Callable[..., None],
    trouble: Callable[[Sandbox], Any],
    ends: str,
    absorbed: int,
) -> None:
    """Bursts, resets, stalls and garbage: retried under the same id, nobody twice, nobody not."""
    configure(MAX_ATTEMPTS=10)
    trouble(wechat)
    notification = queue(20)
    deliver_all()
    assert statuses(notification) == {ends: 20}
    assert wechat.counts == {openid(n): 1 for n in range(20)}
    assert wechat.duplicates == absorbed


def test_after_a_stall_everybody_has_exactly_one(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """Three have no answer in time; on a slow machine, perhaps some more."""
    configure(TIMEOUT=(0.5, 0.5), MAX_ATTEMPTS=100)
    wechat.stall(5, times=3)
    notification = queue(20)
    deliver_all()
    assert statuses(notification) == {"sent": 20}
    assert wechat.counts == {openid(n): 1 for n in range(20)}
    assert wechat.duplicates >= 3


def test_trouble_without_end_is_told_apart(
    wechat: Sandbox, line: Wire, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """Failed where it cannot have arrived, uncertain where it may have."""
    configure(MAX_ATTEMPTS=3)
    wechat.http_error(503, openid=openid(0), times=None)
    wechat.reset(openid=openid(1), accepted=True, times=None)
    wechat.http_error(502, openid=openid(2), accepted=True, times=None)
    notification = queue(4)
    # All four are in flight at once: then one gets through beside the others.
    line.hold(SEND)
    with beside(lambda: line.wait_for_held(4), line.release):
        deliver_all()
    by_openid = {log.openid: log for log in notification.logs.all()}
    assert by_openid[openid(0)].status == "failed"
    for number in (1, 2):
        assert by_openid[openid(number)].status == "uncertain"
        assert by_openid[openid(number)].in_doubt_since is not None
        assert wechat.counts[openid(number)] == 1
    assert by_openid[openid(3)].status == "sent"


def test_nobody_listening_is_tried_again(
    queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """A refused connection leaves no doubt and uses up no attempt: it is no message's fault."""
    configure(default={"API_BASE": "http://127.0.0.1:9"})
    notification = queue(3)
    began = timezone.now()
    engine.deliver()
    for log in notification.logs.all():
        assert (log.status, log.attempts, log.in_doubt_since) == ("pending", 0, None)
        assert log.due_at is not None
        assert log.due_at > began - timedelta(seconds=25)  # the database's clock is a little off


def test_wechat_answering_duplicate_leaves_the_row_uncertain(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """If a repeat is answered 40241, the first one arrived: a receipt may say so later."""
    wechat.account.repeat_errcode = 40241
    wechat.reset(accepted=True)
    notification = queue(1)
    deliver_all()
    assert statuses(notification) == {"uncertain": 1}
    assert wechat.counts == {openid(0): 1}


def test_in_doubt_for_too_long_is_not_repeated(wechat: Sandbox, queue: Callable[..., Any]) -> None:
    """Ten minutes later WeChat would not recognise the repeat, so none is made."""
    wechat.reset(accepted=True)
    notification = queue(1)
    engine.deliver()
    notification.logs.update(
        due_at=timezone.now(), in_doubt_since=timezone.now() - timedelta(minutes=10)
    )
    engine.deliver()
    assert statuses(notification) == {"uncertain": 1}
    assert wechat.counts == {openid(0): 1}
    assert wechat.duplicates == 0


def test_in_doubt_is_looked_at_again_when_a_threads_turn_comes(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """A row claimed in time may wait behind slow ones until the window has closed."""
    configure(CONCURRENCY=1)
    wechat.delay(1, openid=openid(0))
    notification = queue(2)
    left = timedelta(seconds=0.5)
    notification.logs.filter(openid=openid(1)).update(
        in_doubt_since=timezone.now() - REPEAT_WINDOW + left
    )
    engine.deliver()
    assert statuses(notification) == {"sent": 1, "uncertain": 1}
    assert wechat.counts == {openid(0): 1}


def test_accepted_messages_are_recorded_though_the_cache_fails(
    wechat: Sandbox, line: Wire, queue: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account's rest cannot be kept, but every result, before and after that, is written."""
    refused = threading.Event()

    def away(*args: Any) -> None:
        refused.set()
        raise ConnectionError("cache")

    wechat.fail(50007, openid=openid(0))
    notification = queue(10)
    # Django's caches are one to each thread: the token's, in the threads that send, still works.
    monkeypatch.setattr(caches["default"], "set", away)
    first, last = openid(0), openid(9)
    line.hold(first)
    line.hold(last)
    steps = (
        lambda: line.wait_for_held(2),
        lambda: wait_until(lambda: len(wechat.messages) == 8),
        lambda: line.release(first),
        lambda: refused.wait(PATIENCE),
        line.release,
    )
    with pytest.raises(ConnectionError, match="cache"), beside(*steps):
        engine.deliver()
    assert statuses(notification) == {"pending": 1, "sent": 9}
    assert len(wechat.messages) == 9


def test_a_backend_that_raises_costs_only_its_message(
    queue: Callable[..., Any], configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in a backend is logged with its traceback; the row is in doubt, the run goes on.

    This backend does not say that it absorbs repeats, so the message is called for once.
    """
    configure(default={"BACKEND": "tests.test_engine.RaisingBackend"})
    notification = queue(2)
    with caplog.at_level(logging.ERROR):
        engine.deliver()
    assert "The backend raised" in caplog.text
    log = notification.logs.get(openid=openid(0))
    assert (log.status, log.errmsg) == ("uncertain", "ZeroDivisionError in the backend")
    assert log.in_doubt_since
    assert notification.logs.get(openid=openid(1)).status == "sent"


def test_numbers_that_no_column_holds_do_not_cost_the_batch(
    queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """An absurd errcode or msgid, a NUL in the text: the rows are written all the same."""
    configure(default={"BACKEND": "tests.test_engine.AbsurdBackend"})
    notification = queue(2)
    engine.deliver()
    assert statuses(notification) == {"sent": 1, "failed": 1}
    assert notification.logs.get(status="failed").errmsg.startswith("no?text")


# -- leases -----------------------------------------------------------------------------------


def abandoned(notification: Notification, seconds: float, *, on_wire: bool = True) -> None:
    """As a worker leaves its rows that was killed so long ago."""
    moment = timezone.now() - timedelta(seconds=seconds)
    notification.logs.update(
        status=Status.SENDING,
        claimed_at=moment,
        attempts=1,
        in_doubt_since=moment if on_wire else None,
    )


def test_a_dead_workers_rows_are_taken_back_when_their_lease_ends(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """Not before: the worker may only be slow."""
    notification = queue(3)
    abandoned(notification, 30)
    engine.deliver()
    assert statuses(notification) == {"sending": 3}
    abandoned(notification, 61)
    engine.deliver()
    assert statuses(notification) == {"sent": 3}


def test_a_dead_workers_rows_are_uncertain_after_the_window(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """Found an hour later: they may have been sent, and WeChat would not recognise a repeat."""
    notification = queue(3)
    abandoned(notification, 3600)
    engine.deliver()
    assert statuses(notification) == {"uncertain": 3}
    assert not wechat.messages


def test_what_a_dead_worker_had_only_claimed_goes_out_without_doubt(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """Found an hour later: it never left the machine, so nothing speaks against sending it."""
    notification = queue(3)
    abandoned(notification, 3600, on_wire=False)
    engine.deliver()
    assert statuses(notification) == {"sent": 3}
    assert wechat.counts == {openid(n): 1 for n in range(3)}
    assert set(notification.logs.values_list("attempts", "in_doubt_since")) == {(1, None)}


def test_a_result_that_comes_too_late_is_not_written(line: Wire, queue: Callable[..., Any]) -> None:
    """Another worker holds the row by then, and its finding counts."""
    notification = queue(1)
    taken_over = timezone.now() + timedelta(seconds=5)

    def take_over() -> None:
        line.wait_for_held(1)
        SendLog.objects.update(claimed_at=taken_over)
        connection.close()

    line.hold(SEND)
    with beside(take_over, line.release):
        report = engine.deliver()
    assert report.lost == 1
    log = notification.logs.get()
    assert (log.status, log.claimed_at) == ("sending", taken_over)


def test_rows_that_cannot_be_sent_within_their_lease_are_handed_back(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """A slow WeChat and a short lease: rows at the end of a batch are claimed anew, not risked."""
    configure(CONCURRENCY=1, TIMEOUT=(20, 20), LEASE=41)
    wechat.latency = 0.3
    notification = queue(6)
    report = engine.deliver()
    assert report.handed_back > 0
    assert statuses(notification) == {"sent": 6}
    assert wechat.duplicates == 0
    assert set(notification.logs.values_list("attempts", flat=True)) == {1}


def test_told_to_stop_it_finishes_what_is_in_flight_and_hands_back_the_rest(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """No row stays in sending, and none is lost."""
    configure(CONCURRENCY=2)
    wechat.latency = 0.05
    notification = queue(100)
    stop = threading.Event()

    def stop_in_the_middle() -> None:
        while len(wechat.messages) < 5:
            time.sleep(0.01)
        stop.set()

    watcher = threading.Thread(target=stop_in_the_middle)
    watcher.start()
    report = engine.deliver(stop=stop)
    watcher.join()
    found = statuses(notification)
    assert found["sent"] == report.sent == len(wechat.messages)
    assert set(found) == {"sent", "pending"}
    assert engine.deliver().sent == 100 - report.sent


def test_an_interrupted_run_writes_what_it_knows(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """Ctrl-C in the middle: results in hand are written and the rest is handed back."""
    notification = queue(150)

    def interrupt(report: engine.Report) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.deliver(progress=interrupt)
    found = statuses(notification)
    assert "sending" not in found
    assert found["sent"] == len(wechat.messages)


# -- stopping when it should ------------------------------------------------------------------


def test_quota_used_up_in_the_middle_of_a_run(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """45009: the rest stays pending, a handful of further calls, and it resumes by itself."""
    configure(CONCURRENCY=8)
    wechat.daily_quota = 50
    notification = queue(300)
    report = engine.deliver()
    sends = wechat.calls[SEND]
    assert statuses(notification) == {"sent": 50, "pending": 250}
    assert sends <= 50 + 8
    assert report.at_rest == {"default"}
    assert set(notification.logs.filter(status="pending").values_list("attempts", flat=True)) == {0}

    rest = Breaker("default").rest()
    assert rest is not None
    assert rest.errcode == 45009
    assert rest.until > timezone.now()
    assert "quota" in str(rest.info.cause)

    engine.deliver()
    assert wechat.calls[SEND] == sends, "it must not hammer"

    wechat.daily_quota = 1_000
    end_rest_period(rest)
    assert engine.deliver().sent == 250
    assert Breaker("default").rest() is None


def end_rest_period(rest: Any) -> None:
    """As if the moment of ``until`` had come."""
    Breaker("default").store(dataclasses.replace(rest, until=timezone.now()))


def test_a_probe_that_is_refused_keeps_the_account_at_rest(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """After the pause one message is tried, not a batch."""
    wechat.fail(45009, times=None)
    notification = queue(100)
    engine.deliver()
    before = wechat.calls[SEND]
    rest = Breaker("default").rest()
    end_rest_period(rest)
    engine.deliver()
    assert wechat.calls[SEND] == before + 1
    again = Breaker("default").rest()
    assert again is not None
    assert again.until > timezone.now()
    assert statuses(notification) == {"pending": 100}


def test_a_person_can_end_the_rest(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """resume_account: what has become due goes out at once."""
    fault = wechat.fail(48001, times=1)
    notification = queue(1)
    engine.deliver()
    assert fault.hits == 1
    assert statuses(notification) == {"pending": 1}
    configure(DISPATCHER=INLINE)
    resume_account("default")
    assert statuses(notification) == {"sent": 1}


def test_an_address_that_is_not_on_the_whitelist_is_named(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """40164 from the token endpoint: this host rests, not the account; the reason has the IP."""
    wechat.fail(
        40164,
        "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist",
        path="/cgi-bin/stable_token",
        times=None,
    )
    notification = queue(50)
    engine.deliver()
    assert Breaker("default").rest() is None
    [closure] = closures("default")
    assert closure.errcode == 40164
    assert "203.0.113.7" in closure.in_words
    assert closure.until > timezone.now() + timedelta(seconds=30)
    assert statuses(notification) == {"pending": 50}
    assert wechat.token_fetches <= 5
    assert wechat.calls[SEND] == 0


def test_a_wrong_secret_stops_at_once_and_never_shows(
    wechat: Sandbox,
    queue: Callable[..., Any],
    configure: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """40001 from a token endpoint: one call, a clear reason, the secret nowhere."""
    configure(default={"APP_SECRET": "wrong-secret-wrong-secret"})
    notification = queue(50)
    with caplog.at_level(logging.DEBUG):
        engine.deliver()
    assert wechat.token_fetches == 1
    rest = Breaker("default").rest()
    assert rest is not None
    assert "secret is wrong" in str(rest.info.cause)
    assert statuses(notification) == {"pending": 50}
    everything = caplog.text + repr(rest) + repr(list(notification.logs.values()))
    assert "wrong-secret" not in everything
    assert APP_SECRET not in everything


def test_one_account_at_rest_does_not_stop_the_other(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """The other account's rows are sent in the same run."""
    other = notify([openid(9)], make_template(account="other"), ORDER)
    wechat.fail(50007, times=None)
    mine = queue(10)
    engine.deliver()
    assert statuses(mine) == {"pending": 10}
    assert statuses(other) == {"sent": 1}


@pytest.fixture
def long_run(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> Callable[..., None]:
    """Send a backlog of the default account for a second; ``during`` is called now and then."""

    def run(during: Callable[[engine.Report], None] | None = None) -> None:
        configure(CONCURRENCY=1, BATCH_SIZE=2)
        mine = queue(25)
        for number in range(25):
            wechat.delay(0.04, openid=openid(number))
        engine.deliver(progress=during, interval=0.05)
        assert statuses(mine) == {"sent": 25}

    return run


def test_one_accounts_backlog_does_not_hold_up_what_another_is_given(
    long_run: Callable[..., None],
) -> None:
    """An account that had nothing when the run began is asked again while it lasts."""
    template, written = make_template(account="other"), []

    def write(report: engine.Report) -> None:
        if not written:
            written.append(notify([openid(90)], template, ORDER))

    long_run(write)
    assert statuses(written[0]) == {"sent": 1}


def test_a_rest_that_ends_during_a_run_ends_for_that_run(long_run: Callable[..., None]) -> None:
    """A minute's rest is not drawn out by another account's backlog."""
    rest = Breaker("other").trip(45011, "")
    Breaker("other").store(dataclasses.replace(rest, until=timezone.now() + timedelta(seconds=0.3)))
    other = notify([openid(n) for n in range(90, 93)], make_template(account="other"), ORDER)
    long_run()
    assert statuses(other) == {"sent": 3}
    assert Breaker("other").rest() is None


def test_an_account_that_cannot_be_used_does_not_stop_the_other(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None], settings: Any
) -> None:
    """A wrong setting is logged, and everybody else's messages go out."""
    notification = queue(2)
    accounts = {**settings.WECHAT_NOTIFY["ACCOUNTS"], "broken": {"APP_ID": None}}
    configure(ACCOUNTS=accounts)
    report = engine.deliver()
    assert statuses(notification) == {"sent": 2}
    assert report.at_rest == {"broken"}


def test_a_probe_that_rate_does_not_allow_is_left_to_others(configure: Callable[..., None]) -> None:
    """Whoever holds the probe and may not send must not keep the others from it."""
    configure(RATE="1/m")
    probing = Lane("default", 1.0)
    assert probing.grant(1) == 1
    end_rest_period(Breaker("default").trip(45011, ""))
    assert probing.grant(5) == 0
    assert Breaker("default").allowance() == 1


def test_a_banned_template_is_paused_and_others_go_on(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """43116: its rows wait parked, new ones too, until somebody resumes the template."""
    configure(CONCURRENCY=4)
    banned = make_template("banned")
    wechat.add_template({**sandbox_template(banned), "banned": True})
    stuck = notify([openid(n) for n in range(100)], banned, ORDER)
    fine = queue(5)
    engine.deliver()
    assert statuses(stuck) == {"pending": 100}
    assert statuses(fine) == {"sent": 5}
    banned.refresh_from_db()
    assert banned.paused_at
    assert banned.pause_errcode == 43116
    refused = wechat.calls[SEND] - 5
    assert refused <= 4

    later = notify([openid(200)], banned, ORDER)
    engine.deliver()
    assert wechat.calls[SEND] == refused + 5
    assert not SendLog.objects.filter(status="pending", due_at__isnull=False).exists()

    wechat.add_template(sandbox_template(banned))
    assert resume_template(banned) == 101
    engine.deliver()
    assert statuses(stuck) == {"sent": 100}
    assert statuses(later) == {"sent": 1}


def test_a_banned_template_stays_paused_for_rows_that_already_wait_for_a_thread(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """The pause is written down while its other rows are still behind somebody else's."""
    configure(CONCURRENCY=1)
    banned = make_template("banned")
    wechat.add_template({**sandbox_template(banned), "banned": True})
    wechat.delay(0.05, times=None)
    stuck = [notify([openid(n)], banned, ORDER) for n in range(2)]
    fine = queue(8)
    moment = timezone.now() - timedelta(minutes=1)
    fine.logs.update(due_at=moment)
    stuck[0].logs.update(due_at=moment - timedelta(seconds=1))
    engine.deliver(interval=0.05)
    assert statuses(fine) == {"sent": 8}
    assert [statuses(one) for one in stuck] == [{"pending": 1}] * 2
    assert wechat.calls[SEND] == 9


def test_a_template_resumed_while_others_are_sent_goes_on_in_the_same_run(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """What this run has seen refused is not held against a template that somebody has mended."""
    configure(CONCURRENCY=2, BATCH_SIZE=20)
    banned = make_template("banned")
    wechat.add_template({**sandbox_template(banned), "banned": True})
    stuck = notify([openid(n) for n in range(10)], banned, ORDER)
    fine = queue(300)

    def mend(report: engine.Report) -> None:
        banned.refresh_from_db()
        if banned.paused_at:
            wechat.add_template(sandbox_template(banned))
            resume_template(banned)

    engine.deliver(progress=mend)
    assert statuses(fine) == {"sent": 300}
    assert statuses(stuck) == {"sent": 10}


@pytest.mark.parametrize("change", [resume, cancel])
def test_resumed_or_called_off_while_a_worker_parks_its_rows(
    wechat: Sandbox,
    queue: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Notification], int],
) -> None:
    """A row in flight is not seen by whoever resumes; it must not stay parked for ever."""
    held = queue(3)
    Notification.objects.filter(pk=held.pk).update(paused_at=timezone.now())
    changed: list[int] = []

    def meanwhile(execute: Any, sql: str, *args: Any) -> Any:
        if "rid" in sql and sql.lstrip().startswith("UPDATE") and not changed:
            changed.append(1)
            change(held)
        return execute(sql, *args)

    with connection.execute_wrapper(meanwhile):
        engine.deliver()
    assert changed
    engine.deliver()
    assert statuses(held) == ({"sent": 3} if change is resume else {"cancelled": 3})


def test_a_template_that_wechat_does_not_know_wastes_no_calls(
    wechat: Sandbox, queue: Callable[..., Any], configure: Callable[..., None]
) -> None:
    """40037: the rows in flight fail, the rest waits until somebody has looked."""
    configure(CONCURRENCY=4)
    gone = make_template("gone")
    notification = notify([openid(n) for n in range(50)], gone, ORDER)
    engine.deliver()
    found = statuses(notification)
    assert 1 <= found["failed"] <= 4
    assert found["pending"] == 50 - found["failed"]
    assert wechat.calls[SEND] == found["failed"]


# -- time -------------------------------------------------------------------------------------


def test_send_at_expires_at_cancel_pause_and_resume(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """Not before, not too late, not after being called off, not while held."""
    soon = timezone.now() + timedelta(hours=1)
    later, late = queue([openid(1)], send_at=soon), queue([openid(2)])
    Notification.objects.filter(pk=late.pk).update(expires_at=timezone.now())
    called_off, held = queue([openid(3)]), queue([openid(4)])
    assert cancel(called_off) == 1
    assert pause(held) == 1
    engine.deliver()
    assert not wechat.messages
    assert statuses(later) == statuses(held) == {"pending": 1}
    assert statuses(late) == {"expired": 1}
    assert statuses(called_off) == {"cancelled": 1}
    assert resume(held) == 1
    engine.deliver()
    assert list(wechat.counts) == [openid(4)]


def test_what_comes_back_from_an_attempt_is_still_called_off_or_held(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """Cancelled or paused while in flight and then answered "busy": no second attempt."""
    called_off, held = queue([openid(1)]), queue([openid(2)])
    wechat.fail(-1, times=None)  # a slow run may try it again itself
    engine.deliver()
    wechat.clear_faults()
    SendLog.objects.update(
        status=Status.SENDING
    )  # as they stood when the person pressed the button
    cancel(called_off)
    pause(held)
    SendLog.objects.update(status=Status.PENDING, due_at=timezone.now())
    engine.deliver()
    assert not wechat.messages
    assert statuses(called_off) == {"cancelled": 1}
    assert statuses(held) == {"pending": 1}
    assert held.logs.get().due_at is None


def test_a_probe_that_is_not_sent_leaves_the_next_one_its_turn(
    wechat: Sandbox, queue: Callable[..., Any]
) -> None:
    """Expired rows at the head of the queue must not cost a minute each."""
    late, fine = queue([openid(1)]), queue([openid(2)])
    Notification.objects.filter(pk=late.pk).update(expires_at=timezone.now())
    end_rest_period(Breaker("default").trip(45011, ""))
    engine.deliver()
    assert statuses(late) == {"expired": 1}
    assert statuses(fine) == {"sent": 1}


def test_rate_holds_for_all_rows_of_an_account(
    wechat: Sandbox,
    queue: Callable[..., Any],
    configure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RATE "20/h": of fifty messages twenty are sent before each wait for the next hour."""
    now, sent = [1_000 * 3_600 - 0.2], []

    class NextHour(threading.Event):
        """The run waits on this event, and only its waits move the limiter's clock."""

        def wait(self, timeout: float | None = None) -> bool:
            sent.append(len(wechat.messages))
            stopped = super().wait(timeout)
            now[0] += 3_600
            return stopped

    monkeypatch.setattr(time, "time", lambda: now[0])
    configure(RATE="20/h")
    queue(50)
    assert engine.deliver(stop=NextHour()).sent == 50
    assert sorted(set(sent)) == [20, 40]


def test_a_run_that_waits_for_rate_gives_signs_of_life(
    wechat: Sandbox,
    queue: Callable[..., Any],
    configure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six minutes before RATE grants more, ``progress`` is called four times a minute."""
    waits: list[float | None] = []
    calls: list[int] = []

    class Impatient(threading.Event):
        """Nobody really waits on it, and the fourth wait is the last."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            if len(waits) == 4:
                self.set()
            return self.is_set()

    monkeypatch.setattr(time, "time", lambda: 1_000 * 3_600)
    configure(RATE="2/h")
    queue(3)
    stop = Impatient()
    report = engine.deliver(
        account="default", stop=stop, progress=lambda report: calls.append(len(waits))
    )
    assert report.sent == 2
    assert waits == [engine.RATE_SECONDS] * 4
    assert {1, 2, 3, 4} <= set(calls)


class RaisingBackend(BaseBackend):
    """A third party's backend with a bug."""

    def send(self, message: TemplateMessage) -> SendResult:
        if message.openid == openid(0):
            raise ZeroDivisionError
        return SendResult(Outcome.ACCEPTED, 0, "ok", msgid=1)


class AbsurdBackend(BaseBackend):
    """A backend whose answers fit no column."""

    def send(self, message: TemplateMessage) -> SendResult:
        if message.openid == openid(0):
            return SendResult(Outcome.REFUSED, 2**40, "no\x00\ud800text" + "!" * 1000)
        return SendResult(Outcome.ACCEPTED, 0, "ok", msgid=2**70)
