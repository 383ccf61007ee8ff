"""WeChat away, silent or busy: bad days cost time, not messages."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests.factories import ORDER, make_template, openid, sandbox_template
from tests.waiting import PATIENCE, wait_until
from tests.wire import Wire, wire
from wechat_notify.backends.base import BaseBackend
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending import engine
from wechat_notify.sending.breaker import Breaker
from wechat_notify.sending.way_out import WayOut, closures
from wechat_notify.services import notify
from wechat_notify.types import Outcome, SendResult, TemplateMessage

Status = SendLog.Status
Configure = Callable[..., None]
pytestmark = pytest.mark.django_db(transaction=True)

LONG = 200.0
SEND = "/cgi-bin/message/template/send"


@pytest.fixture
def line(wechat: Sandbox, known_template: MessageTemplate, configure: Configure) -> Iterator[Wire]:
    """The default account sends over a wire that the test can cut. Eight threads."""
    with wire(wechat.url) as made:
        configure(
            default={"API_BASE": made.url},
            DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher",
            CONCURRENCY=8,
        )
        yield made


def write(people: int, first: int = 0, **options: Any) -> Notification:
    return notify([openid(first + n) for n in range(people)], "order_paid", ORDER, **options)


def statuses(notification: Notification) -> dict[str, int]:
    return {status: n for status, n in notification.counts.items() if n}


def deliver_for(seconds: float) -> None:
    """A worker that looks again and again, its rows due at once."""
    ends = time.monotonic() + seconds
    deliver_until(lambda: time.monotonic() >= ends)


def deliver_until(condition: Callable[[], object]) -> None:
    """The same, at least once, and until ``condition`` holds."""

    def holds() -> object:
        SendLog.objects.filter(status=Status.PENDING).update(due_at=timezone.now())
        engine.deliver()
        return condition()

    wait_until(holds)


def deliver_until_done() -> None:
    deliver_until(lambda: not SendLog.objects.filter(status__in=SendLog.OPEN).exists())


# -- WeChat away ------------------------------------------------------------------------------

OUTAGES: dict[str, Callable[[Sandbox, Wire], Any]] = {
    "connections refused": lambda wechat, line: line.cut(),
    "HTTP 503": lambda wechat, line: wechat.http_error(503, times=None),
    "a proxy's 407": lambda wechat, line: wechat.http_error(407, times=None),
    "a portal's 302": lambda wechat, line: wechat.http_error(302, times=None),
    "busy, whoever it is for": lambda wechat, line: wechat.fail(-1, times=None),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_an_outage_fails_nobody(
    wechat: Sandbox, line: Wire, outage: Callable[[Sandbox, Wire], Any]
) -> None:
    """However long it lasts, it uses up no message's attempts; afterwards all go out, once."""
    notification = write(40)
    outage(wechat, line)
    deliver_for(1)
    assert statuses(notification) == {"pending": 40}
    assert set(notification.logs.values_list("attempts", flat=True)) == {0}
    line.mend()
    wechat.clear_faults()
    deliver_until_done()
    assert statuses(notification) == {"sent": 40}
    assert wechat.counts == {openid(n): 1 for n in range(40)}
    assert closures("default") == []
    assert Breaker("default").rest() is None


def test_silence_leaves_no_more_in_doubt_than_was_in_flight(
    wechat: Sandbox, line: Wire, configure: Configure
) -> None:
    """WeChat takes connections and never answers: the others wait, and are not called."""
    warm = write(8, first=100)
    engine.deliver()
    assert statuses(warm) == {"sent": 8}
    configure(TIMEOUT=(0.3, 0.5))
    notification = write(100)
    line.silence()
    engine.deliver()
    doubtful = notification.logs.filter(in_doubt_since__isnull=False).count()
    assert 1 <= doubtful <= 8
    assert statuses(notification) == {"pending": 100}
    before = line.connections
    deliver_for(1)
    assert notification.logs.filter(in_doubt_since__isnull=False).count() == doubtful
    assert line.connections - before <= 8, "it must not hammer"
    line.cut()
    line.mend()
    configure(TIMEOUT=(20, 20))
    deliver_until_done()
    assert statuses(notification) == {"sent": 100}
    assert set(wechat.counts.values()) == {1}


def test_the_trouble_is_told_with_its_reason(
    wechat: Sandbox, line: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, however many messages wait, and a record for doctor and admin."""
    write(40)
    line.cut()
    deliver_until(lambda: any(closure.trips >= 2 for closure in closures("default")))
    told = [record.getMessage() for record in caplog.records if "gets through" in record.message]
    assert len(told) >= 1
    assert "Connection refused" in told[0]
    [closure] = closures("default")
    assert closure.errcode is None
    assert "Connection refused" in closure.in_words


def test_a_message_that_never_gets_through_fails_alone(wechat: Sandbox, line: Wire) -> None:
    """Others pass: it is its own fault, its attempts count, and nobody waits for it."""
    wechat.reset(openid=openid(3), accepted=False, times=None)
    notification = write(20)
    started = time.monotonic()
    engine.deliver()
    assert statuses(notification)["sent"] == 19
    assert time.monotonic() - started < 60
    for round_ in range(12):
        SendLog.objects.filter(status=Status.PENDING).update(due_at=timezone.now())
        write(2, first=50 + 2 * round_)
        engine.deliver()
    bad = notification.logs.get(openid=openid(3))
    assert bad.status in ("failed", "uncertain")
    assert bad.attempts == 5
    others = SendLog.objects.exclude(openid=openid(3))
    assert set(others.values_list("status", flat=True)) == {"sent"}


def test_one_thread_and_a_message_that_never_gets_through(
    wechat: Sandbox, line: Wire, configure: Configure
) -> None:
    """Nothing else is in flight that could pass: the next message is tried at once."""
    configure(CONCURRENCY=1)
    wechat.http_error(503, openid=openid(0), times=None)
    notification = write(10)
    engine.deliver()
    assert statuses(notification) == {"sent": 9, "pending": 1}


def test_after_days_without_an_answer_it_is_given_up(
    wechat: Sandbox, line: Wire, configure: Configure
) -> None:
    """GIVE_UP_AFTER bounds what attempts do not; what came later waits on."""
    configure(GIVE_UP_AFTER=1)
    old, young = write(5), write(3, first=50)
    later = timezone.now() + timedelta(hours=1)
    Notification.objects.filter(pk=young.pk).update(created_at=later)
    line.cut()
    deliver_until(lambda: statuses(old) != {"pending": 5})
    assert statuses(old) == {"failed": 5}
    assert "Connection refused" in old.logs.first().errmsg  # type: ignore[union-attr]
    assert statuses(young) == {"pending": 3}


# -- one host's fault -------------------------------------------------------------------------


def test_another_hosts_trouble_stops_nobody(
    wechat: Sandbox, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is not whitelisted leaves a record; this one sends as if there were none."""
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    wechat.fail(40164, "invalid ip 203.0.113.7, not in whitelist", times=None)
    notification = write(30)
    engine.deliver()
    assert statuses(notification) == {"pending": 30}
    wechat.clear_faults()
    monkeypatch.undo()
    assert [closure.host for closure in closures("default")] == ["elsewhere"]
    assert engine.deliver().sent == 30
    assert "203.0.113.7" in closures("default")[0].in_words


def test_a_host_that_is_whitelisted_now_goes_on_by_itself(
    wechat: Sandbox, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its rest it asks whether WeChat answers, by a call that carries no message."""
    wechat.fail(40164, "invalid ip 203.0.113.7, not in whitelist", times=None)
    notification = write(10)
    engine.deliver()
    sends = wechat.calls[SEND]
    assert sends <= 8
    later = timezone.now() + timedelta(minutes=2)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    assert engine.deliver().sent == 0
    assert wechat.calls[SEND] <= sends + 1
    wechat.clear_faults()
    later += timedelta(minutes=5)
    assert engine.deliver().sent == 10
    assert statuses(notification) == {"sent": 10}


@pytest.fixture
def as_an_ended_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """What is done from now on is done by a process that has ended; called: by this one again."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setattr("os.getpid", lambda: ended.pid)
    yield monkeypatch.undo
    monkeypatch.undo()


def test_the_record_of_a_process_that_has_ended_goes_with_the_first_answer(
    wechat: Sandbox, line: Wire, as_an_ended_process: Callable[[], None]
) -> None:
    """Each run from cron is a new process; none may be shown for an hour after all is well."""
    WayOut("default").failed([1, 2], SendResult(Outcome.NOT_SENT, errmsg="No connection."))
    as_an_ended_process()
    assert len(closures("default")) == 1
    notification = write(3)
    engine.deliver()
    assert statuses(notification) == {"sent": 3}
    assert closures("default") == []


def test_the_next_run_from_cron_goes_on_resting(
    wechat: Sandbox, line: Wire, as_an_ended_process: Callable[[], None]
) -> None:
    """A new process inherits the record: it neither begins anew nor forgets since when."""
    for number in range(20):
        WayOut("default").failed([number], SendResult(Outcome.NOT_SENT, errmsg="No connection."))
    [before] = closures("default")
    as_an_ended_process()
    notification = write(3)
    assert engine.deliver().at_rest == {"default"}
    assert statuses(notification) == {"pending": 3}
    assert WayOut("default").closure() == before


class SlowProbeBackend(BaseBackend):
    """No network: the messages in flight fail while the probe still waits for its answer."""

    supports_repeats = supports_probe = True
    another_process: WayOut
    probing = threading.Event()

    def send(self, message: TemplateMessage) -> SendResult:
        self.another_process.failed([1, 2], SendResult(Outcome.NOT_SENT, errmsg="No connection."))
        self.probing.wait(PATIENCE)
        return SendResult(Outcome.NOT_SENT, errmsg="No connection.")

    def probe(self) -> SendResult:
        self.probing.set()
        time.sleep(0.2)
        return SendResult(Outcome.NOT_SENT, errmsg="No connection.")


def test_a_probe_that_ends_after_the_last_message_ends_the_run(
    template: MessageTemplate, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's record makes this one probe while its own messages are in flight."""
    configure(
        default={"BACKEND": "tests.test_bad_days.SlowProbeBackend"},
        DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher",
    )
    with monkeypatch.context() as patched:
        patched.setattr("os.getpid", os.getppid)
        SlowProbeBackend.another_process = WayOut("default")
    SlowProbeBackend.probing.clear()
    notification = write(2)
    stop = threading.Event()
    too_long = threading.Timer(PATIENCE, stop.set)
    too_long.start()
    engine.deliver(stop=stop, interval=0.05)
    too_long.cancel()
    assert SlowProbeBackend.probing.is_set()
    assert not stop.is_set()
    assert statuses(notification) == {"pending": 2}


# -- codes that nobody knows ------------------------------------------------------------------


def test_the_same_unknown_refusal_for_everybody_does_not_burn_the_list(
    wechat: Sandbox, line: Wire
) -> None:
    """It speaks of no recipient: the account rests and is probed."""
    wechat.fail(99_001, "something new", times=None)
    notification = write(60)
    engine.deliver()
    assert statuses(notification)["pending"] >= 40
    rest = Breaker("default").rest()
    assert rest is not None
    assert rest.errcode == 99_001


def test_an_unknown_refusal_for_some_fails_these(wechat: Sandbox, line: Wire) -> None:
    """Others are accepted in between: it speaks of these people."""
    for number in range(0, 60, 4):
        wechat.fail(99_001, "something new", openid=openid(number), times=None)
    notification = write(60)
    engine.deliver()
    assert statuses(notification) == {"sent": 45, "failed": 15}
    assert Breaker("default").rest() is None


# -- backends that absorb no repeats ----------------------------------------------------------


class LossyBackend(BaseBackend):
    """A stranger's way out that hears nothing back and does not recognise a repeat."""

    calls: list[str] = []

    def send(self, message: TemplateMessage) -> SendResult:
        self.calls.append(message.openid)
        return SendResult(Outcome.UNKNOWN, errmsg="no answer")


def test_what_may_have_left_is_not_repeated_where_repeats_are_not_absorbed(
    template: MessageTemplate, configure: Configure
) -> None:
    """One call; then a person decides."""
    LossyBackend.calls.clear()
    configure(
        default={"BACKEND": "tests.test_bad_days.LossyBackend"},
        DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher",
    )
    notification = write(1)
    deliver_for(0.3)
    assert statuses(notification) == {"uncertain": 1}
    assert LossyBackend.calls == [openid(0)]


# -- the database away ------------------------------------------------------------------------


def test_results_are_held_while_the_database_is_away(wechat: Sandbox, line: Wire) -> None:
    """What WeChat has accepted is written down afterwards; nobody is called twice."""
    notification = write(20)
    back = time.monotonic() + 1.5

    def away(execute: Any, sql: str, *args: Any) -> Any:
        if sql.lstrip().startswith("UPDATE") and "rid" in sql and time.monotonic() < back:
            raise OperationalError("the database is restarting")
        return execute(sql, *args)

    with connection.execute_wrapper(away):
        report = engine.deliver()
    assert report.sent == 20
    assert statuses(notification) == {"sent": 20}
    assert wechat.duplicates == 0
    assert set(wechat.counts.values()) == {1}


# -- accounts beside each other ---------------------------------------------------------------


def test_an_account_that_hangs_takes_no_thread_from_another(
    wechat: Sandbox, line: Wire, configure: Configure, settings: Any
) -> None:
    """Each account has threads of its own, and at most its own CONCURRENCY of them."""
    known = sandbox_template(make_template(account="other"))
    with Sandbox(app_id="wx00000000000other", any_openid=True, templates=[known]) as theirs:
        accounts = settings.WECHAT_NOTIFY["ACCOUNTS"]
        other = {
            **accounts["default"],
            "API_BASE": theirs.url,
            "APP_ID": theirs.app_id,
            "APP_SECRET": theirs.app_secret,
            "CONCURRENCY": 3,
        }
        configure(ACCOUNTS={**accounts, "other": other}, TIMEOUT=(20, LONG), LEASE=2 * LONG)
        hanging = write(30)
        fine = notify([openid(n) for n in range(60)], "order_paid", ORDER, account="other")
        line.silence()
        began, times = time.monotonic(), []

        def progress(report: engine.Report) -> None:
            if report.sent == 60 and not times:
                times.append(time.monotonic())
                line.cut()  # what hangs need not hang any longer

        engine.deliver(progress=progress)
        assert times[0] - began < LONG, "it did not wait for a call that hangs"
        assert statuses(fine) == {"sent": 60}
        assert statuses(hanging) == {"pending": 30}
        assert theirs.max_in_flight <= 3
