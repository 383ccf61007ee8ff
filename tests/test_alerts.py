"""Alerts: what opens one, what closes it, and that it is one row from beginning to end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.databases import database_url
from tests.factories import ORDER, make_bindings, make_template, make_user, openid
from wechat_notify.alerts.comparing import Changes, look
from wechat_notify.alerts.present import is_unusual
from wechat_notify.alerts.telling import begin
from wechat_notify.alerts.wording import in_words
from wechat_notify.declarations import declare
from wechat_notify.dispatchers.signs_of_life import WORKER, SignOfLife
from wechat_notify.models import Alert, MessageTemplate, SendLog
from wechat_notify.retention import prune
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending.breaker import Breaker
from wechat_notify.sending.engine import deliver
from wechat_notify.sending.outcomes import Count, failures
from wechat_notify.sending.way_out import WayOut
from wechat_notify.services import notify, resume_template
from wechat_notify.signals import alert_closed, alert_opened
from wechat_notify.types import Outcome, SendResult

pytestmark = pytest.mark.django_db

Configure = Callable[..., None]
Kind = Alert.Kind


class Clock:
    """The host's time, which goes on when a test says so. No midnight falls into a test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=timezone.get_default_timezone())

    def go_on(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timezone, "now", lambda: made.now)
    return made


def kinds() -> list[str]:
    """What the open alerts are about."""
    return sorted(Alert.objects.still_open().values_list("kind", flat=True))


def closed_way(errcode: int | None = None, errmsg: str = "Connection refused.") -> WayOut:
    """As this host leaves its record after it has tried for a while."""
    way = WayOut("default")
    outcome = Outcome.NOT_SENT if errcode is None else Outcome.REFUSED
    result = SendResult(outcome, errcode, errmsg)
    for number in range(20):
        if errcode is None:
            way.failed([number], result)
        else:
            way.refused(result)
    return way


# -- an account at rest -----------------------------------------------------------------------


@pytest.mark.parametrize("errcode", [45009, 50007, 48001])
def test_a_rest_that_lasts_is_told_at_once_and_once(clock: Clock, errcode: int) -> None:
    """The quota used up, an account frozen, an API not authorised: one row, however often one
    looks."""
    Breaker("default").trip(errcode, "told you so rid: 1-2-3")
    (alert,) = look().opened
    assert (alert.kind, alert.account, alert.errcode) == (Kind.REST, "default", errcode)
    assert alert.detail == "told you so rid: 1-2-3"
    clock.go_on(minutes=1)
    assert look() == Changes([], [])
    assert Alert.objects.count() == 1


def test_it_is_over_when_it_was_not_seen_for_five_minutes(clock: Clock) -> None:
    """Then the row is closed, and what comes later is another event."""
    Breaker("default").trip(45009, "quota")
    look()
    clock.go_on(minutes=1)
    look()
    Breaker("default").clear()
    clock.go_on(minutes=4)
    assert not look().closed
    clock.go_on(minutes=2)
    (alert,) = look().closed
    assert alert.closed_at == clock.now
    Breaker("default").trip(45009, "quota")
    assert look().opened
    assert Alert.objects.count() == 2


def test_what_comes_back_within_minutes_is_the_same_event(clock: Clock) -> None:
    """A cache that lost its entries, or a probe that was accepted once, writes no second e-mail."""
    Breaker("default").trip(45009, "quota")
    look()
    Breaker("default").clear()
    clock.go_on(minutes=3)
    look()
    Breaker("default").trip(45009, "quota")
    for _ in range(5):
        clock.go_on(minutes=3)
        assert look() == Changes([], [])
    assert Alert.objects.count() == 1


@pytest.mark.parametrize("errcode", [45011, 40001])
def test_a_rest_that_may_pass_is_told_after_two_minutes(clock: Clock, errcode: int) -> None:
    """A minute's limit, or a token that another program fetched: not while one probe may end it."""
    breaker = Breaker("default")
    breaker.trip(errcode, "wait")
    assert look() == Changes([], [])
    clock.go_on(minutes=1, seconds=30)
    breaker.trip(errcode, "wait")
    assert look() == Changes([], [])
    clock.go_on(minutes=1, seconds=30)
    breaker.trip(errcode, "wait")
    assert [alert.errcode for alert in look().opened] == [errcode]


def test_a_rest_that_nobody_has_tried_to_end_is_not_told(clock: Clock) -> None:
    """It ended minutes ago for all that is known: nothing was due that would have shown it."""
    Breaker("default").trip(45011, "wait")
    clock.go_on(minutes=20)
    assert look() == Changes([], [])


def test_a_rest_says_until_when_by_now(clock: Clock) -> None:
    """After each probe that was refused; the row stays the same."""
    breaker = Breaker("default")
    breaker.trip(48001, "api unauthorized")
    look()
    clock.go_on(minutes=5)
    rest = breaker.trip(48001, "api unauthorized")
    look()
    assert Alert.objects.get().until == rest.until


# -- the way out ------------------------------------------------------------------------------


def test_a_way_that_stays_closed_is_told_by_its_server(clock: Clock) -> None:
    """After two minutes, with the words of the network; not for a short cut of it."""
    closed_way()
    assert look() == Changes([], [])
    clock.go_on(minutes=2, seconds=1)
    closed_way()
    (alert,) = look().opened
    assert alert.kind == Kind.WAY
    assert alert.subject
    assert "Connection refused." in in_words(alert).quoted


def test_a_server_that_is_not_whitelisted_is_told_with_its_address() -> None:
    """At once: somebody must add it."""
    closed_way(40164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist")
    (alert,) = look().opened
    words = in_words(alert)
    assert "203.0.113.7" in words.why
    assert "IP whitelist" in words.to_do


# -- templates --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_template_that_wechat_bans_is_told(
    wechat: Sandbox, known_template: MessageTemplate
) -> None:
    """From the refusal of a message to the alert, and over as soon as somebody resumes it."""
    assert look() == Changes([], [])
    wechat.fail(43116)
    notify(openid(1), known_template, ORDER)
    deliver()
    (alert,) = look().opened
    assert (alert.kind, alert.subject, alert.errcode) == (Kind.TEMPLATE, "order_paid", 43116)
    known_template.refresh_from_db()
    resume_template(known_template)
    assert [one.pk for one in look().closed] == [alert.pk]


def test_a_template_that_somebody_paused_or_switched_off_is_not_told() -> None:
    """That is no event: whoever did it knows."""
    make_template("held", paused_at=timezone.now())
    make_template("off", is_active=False, paused_at=timezone.now(), pause_errcode=43116)
    make_template("deleted", is_active=False, missing_since=timezone.now())
    assert look() == Changes([], [])


def test_a_template_that_code_needs_and_wechat_lost_is_told(own_declarations: None) -> None:
    """One that no code declares may have been deleted on purpose."""
    declare("order_paid", fields=["character_string1"])
    make_template(is_active=False, missing_since=timezone.now())
    (alert,) = look().opened
    assert "WeChat no longer has the template order_paid" in in_words(alert).what


def test_two_templates_are_two_alerts() -> None:
    """And one of each account is told by its account."""
    for account in ("default", "other"):
        make_template(account=account, paused_at=timezone.now(), pause_errcode=43116)
    make_template("second", paused_at=timezone.now(), pause_errcode=40037)
    assert len(look().opened) == 3


# -- nobody who sends -------------------------------------------------------------------------


@pytest.fixture
def shared_cache(settings: Any, configure: Configure, tmp_path: Path) -> None:
    """A cache in which a worker's signs of life would be seen, and a worker's duty."""
    path = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {**settings.CACHES, "shared": {"BACKEND": path, "LOCATION": str(tmp_path)}}
    configure(CACHE="shared", DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


def test_messages_that_nobody_sends_are_told(shared_cache: None) -> None:
    """Since the oldest is due, and not while a worker is at work."""
    notify(make_bindings(2), make_template(), ORDER)
    assert look() == Changes([], [])
    since = timezone.now() - timedelta(minutes=10)
    SendLog.objects.update(due_at=since)
    SignOfLife(WORKER, ["default"]).give()
    assert look() == Changes([], [])
    caches["shared"].clear()
    (alert,) = look().opened
    assert (alert.kind, alert.began_at) == (Kind.NO_SENDER, since)
    assert "wechat_deliver --watch" in in_words(alert).to_do


def test_where_an_account_rests_that_is_what_is_told(shared_cache: None) -> None:
    """Nobody need start a worker for messages that wait for tomorrow's quota."""
    notify(make_bindings(2), make_template(), ORDER)
    SendLog.objects.update(due_at=timezone.now() - timedelta(minutes=10))
    Breaker("default").trip(45009, "quota")
    look()
    assert kinds() == [Kind.REST]


# -- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "usual", "is_open", "expected"),
    [
        (Count(20, 100), 0.0, False, True),
        (Count(19, 19), 0.0, False, False),  # single people's
        (Count(20, 101), 0.0, False, False),  # a small part
        (Count(25, 100), 0.1, False, False),  # not three times what is usual
        (Count(31, 100), 0.1, False, True),
        (Count(60, 100), 0.4, False, False),
        (Count(70, 100), 0.4, False, True),  # three times 40 % would never be reached
        (Count(90, 100), 0.9, False, False),
        (Count(11, 100), 0.0, True, True),  # it goes on
        (Count(9, 100), 0.0, True, False),
        (Count(0, 0), 0.0, True, False),
    ],
)
def test_what_is_unusual(count: Count, usual: float, is_open: bool, expected: bool) -> None:
    """Enough of them, a fair share, and far more than as a rule."""
    assert is_unusual(count, usual, is_open=is_open) is expected


@pytest.mark.django_db(transaction=True)
def test_rising_failures_are_told_with_their_commonest_reason(
    wechat: Sandbox, known_template: MessageTemplate
) -> None:
    """From WeChat's refusals, through the engine of whatever process, to the alert."""
    wechat.fail(47003, times=25)
    notify([openid(number) for number in range(40)], known_template, ORDER)
    deliver()
    assert failures("default").failed == 25
    (alert,) = look().opened
    assert (alert.kind, alert.failed, alert.errcode) == (Kind.FAILURES, 25, 47003)
    assert "25 of the " in in_words(alert).what
    assert in_words(alert).explanation.endswith("(errcode 47003)")


@pytest.mark.django_db(transaction=True)
def test_what_was_not_tried_is_no_failure(configure: Configure) -> None:
    """People without a binding are skipped, and what has expired was not refused."""
    make_template()
    notify([make_user(f"user{number}") for number in range(30)], "order_paid", ORDER)
    late = notify([openid(number) for number in range(30)], "order_paid", ORDER)
    SendLog.objects.filter(notification=late).update(status="pending", due_at=timezone.now())
    type(late).objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    deliver()
    assert failures("default").failed == 0
    assert look() == Changes([], [])


@pytest.mark.django_db(transaction=True)
def test_tests_that_fail_are_no_failures(wechat: Sandbox, known_template: MessageTemplate) -> None:
    """Whoever tries a template out alarms nobody."""
    wechat.fail(47003, times=25)
    notify([openid(number) for number in range(40)], known_template, ORDER, is_test=True)
    deliver()
    assert failures("default") == Count()
    assert look() == Changes([], [])


@pytest.mark.django_db(transaction=True)
def test_what_fails_as_a_rule_is_not_told(wechat: Sandbox, known_template: MessageTemplate) -> None:
    """A site that writes to many who have unfollowed knows that by the week before."""
    wechat.fail(47003, times=25)
    people = [openid(number) for number in range(50)]
    earlier = notify(people, known_template, ORDER)
    type(earlier).objects.filter(pk=earlier.pk).update(
        created_at=timezone.now() - timedelta(days=2)
    )
    deliver()
    assert failures("default").share >= 0.5
    assert look() == Changes([], [])


# -- the row ----------------------------------------------------------------------------------


def test_nothing_of_a_person_or_a_secret_is_kept() -> None:
    """WeChat's words may name an openid, and an error of the network the whole address."""
    errmsg = f"no {openid(7)} at https://x/?access_token=ABCDEF&secret=GHI\nsecond line"
    Breaker("default").trip(50007, errmsg)
    (alert,) = look().opened
    assert openid(7) not in alert.detail
    for secret in ("ABCDEF", "GHI", "\n"):
        assert secret not in alert.detail


def test_while_nothing_changes_no_row_is_read() -> None:
    """Once a minute, in an idle site where somebody sends: the cache alone."""
    make_template()
    SignOfLife(WORKER, ["default", "other"]).give()
    look()
    with CaptureQueriesContext(connection) as queries:
        assert look() == Changes([], [])
    assert not len(queries)


def test_while_an_alert_is_open_a_few_rows_are_read() -> None:
    """However many messages there are, where somebody sends."""
    Breaker("default").trip(45009, "quota")
    SignOfLife(WORKER, ["default", "other"]).give()
    look()
    with CaptureQueriesContext(connection) as queries:
        look()
    assert 0 < len(queries) <= 5
    assert not any(SendLog._meta.db_table in query["sql"] for query in queries)


def test_an_account_that_is_no_longer_configured_is_over(clock: Clock, settings: Any) -> None:
    """Its alert does not stay for ever."""
    Breaker("other").trip(45009, "quota")
    look()
    accounts = dict(settings.WECHAT_NOTIFY["ACCOUNTS"])
    del accounts["other"]
    settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "ACCOUNTS": accounts}
    clock.go_on(minutes=6)
    assert look().closed


def test_signals_tell_the_sites_own_code() -> None:
    """Once when it begins and once when it is over; an error of theirs stops nothing."""
    told: list[tuple[str, Alert]] = []

    def note_opened(sender: Any, alert: Alert, **kwargs: Any) -> None:
        told.append(("opened", alert))
        raise LookupError("the site's own")

    def note_closed(sender: Any, alert: Alert, **kwargs: Any) -> None:
        told.append(("closed", alert))

    template = make_template(paused_at=timezone.now(), pause_errcode=43116)
    alert_opened.connect(note_opened)
    alert_closed.connect(note_closed)
    try:
        begin()
        begin()
        resume_template(template)
        begin()
    finally:
        alert_opened.disconnect(note_opened)
        alert_closed.disconnect(note_closed)
    assert [what for what, _alert in told] == ["opened", "closed"]
    assert told[0][1] == told[1][1]


def test_what_was_over_long_ago_is_deleted_with_the_send_log(clock: Clock) -> None:
    """What is open stays, however long it has been open."""
    for account in ("default", "other"):
        Breaker(account).trip(45009, "quota")
    look()
    Breaker("other").clear()
    clock.go_on(minutes=6)
    look()
    clock.go_on(days=200)
    assert prune(clock.now - timedelta(days=180)).others["alerts"] == 1
    assert [alert.account for alert in Alert.objects.all()] == ["default"]


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_open_one_and_close_one(tmp_path: Path) -> None:
    """By the database, on connections of their own; and each person gets one e-mail of each."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.alert_race"],
        env={**os.environ, "DATABASE_URL": database_url(tmp_path)},
        capture_output=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["errors"] == []
    assert (found["opened"], found["closed"], found["rows"]) == (1, 1, 1)
    assert found["mails"] == ["Over", "one"]
