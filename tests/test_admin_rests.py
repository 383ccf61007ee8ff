"""Accounts at rest: the banner on the list pages, and trying again."""

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.admin_pages import SEE, browser, page, text, told
from wechat_notify.sending.breaker import Breaker
from wechat_notify.sending.way_out import WayOut, closures
from wechat_notify.types import Outcome, SendResult
from wechat_notify.wechat.errors import describe

pytestmark = pytest.mark.django_db

MODELS = ("sendlog", "notification", "messagetemplate")


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still, so that no midnight, which ends a rest, falls into a test."""
    now = datetime(2026, 11, 23, 12, tzinfo=timezone.get_default_timezone())
    monkeypatch.setattr(timezone, "now", lambda: now)


@pytest.mark.parametrize("model", MODELS)
def test_the_banner_says_why_and_until_when(model: str) -> None:
    """Cause, next step and time stand above the list; without the permission there is no button."""
    Breaker("default").trip(45009, "reach max api daily quota limit")
    shown = text(browser(*SEE).get(page(model)))
    assert "Account default rests until November 24 00:00." in shown
    assert "Today&#x27;s quota for this call is used up." in shown
    assert str(describe(45009).next_step) in shown
    assert "Account other" not in shown
    assert page(model, "try_again", "default") not in shown
    allowed = text(browser(*SEE, "send_notification").get(page(model)))
    assert page(model, "try_again", "default") in allowed


def test_no_banner_where_nothing_rests() -> None:
    """An account that sends is not worth a word."""
    assert "wechat-rest" not in text(browser(*SEE).get(page("sendlog")))


def test_the_banner_names_the_address_that_wechat_refuses() -> None:
    """For a server missing on the whitelist the address is what the reader needs."""
    Breaker("other").trip(40164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist")
    shown = text(browser(*SEE).get(page("sendlog")))
    assert "The address is 203.0.113.7." in shown
    assert "It is tried again at" in shown


def closed(errmsg: str, errcode: int | None = None) -> None:
    """As this host leaves its record after it has tried for a while."""
    way = WayOut("default")
    outcome = Outcome.NOT_SENT if errcode is None else Outcome.REFUSED
    result = SendResult(outcome, errcode, errmsg)
    for number in range(20):
        if errcode is None:
            way.failed([number], result)
        else:
            way.refused(result)


def test_the_banner_names_the_server_from_which_nothing_gets_through() -> None:
    """The answer it got last, and that nothing is lost; whoever may send can try it again."""
    closed("No connection to WeChat: Connection refused.")
    shown = text(browser(*SEE, "send_notification").get(page("sendlog")))
    assert f"nothing gets through to WeChat from server {socket.gethostname()} since" in shown
    assert "Connection refused." in shown
    assert "no message is lost" in shown
    browser(*SEE, "send_notification").post(
        page("sendlog", "try_again", "default"), {"post": "yes"}
    )
    assert not closures("default")


def test_the_banner_names_the_address_of_a_server_that_is_not_whitelisted() -> None:
    """It is this server's trouble; the others go on."""
    closed("invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist", 40164)
    shown = text(browser(*SEE).get(page("sendlog")))
    assert f"from server {socket.gethostname()}" in shown
    assert "The address is 203.0.113.7." in shown


@pytest.fixture
def rest_until() -> Callable[[timedelta], None]:
    """Put the default account to rest until so long from now."""

    def put(after: timedelta) -> None:
        breaker = Breaker("default")
        rest = breaker.trip(45011, "per minute")
        breaker.store(replace(rest, until=timezone.now() + after))

    return put


@pytest.mark.parametrize(
    ("after", "told_as"),
    [
        (timedelta(hours=11), "23:00"),
        (timedelta(hours=12), "November 24 00:00"),
        (timedelta(days=3), "November 26 12:00"),
    ],
)
def test_a_rest_beyond_midnight_is_told_with_its_date(
    rest_until: Callable[[timedelta], None], after: timedelta, told_as: str
) -> None:
    """A time of day alone means today's."""
    rest_until(after)
    assert f"Account default rests until {told_as}." in text(browser(*SEE).get(page("sendlog")))


def test_a_rest_that_is_over_waits_for_the_next_run(
    rest_until: Callable[[timedelta], None],
) -> None:
    """The time is past and nobody has tried yet: no time in the past is promised."""
    rest_until(-timedelta(minutes=1))
    shown = text(browser(*SEE).get(page("sendlog")))
    assert "Account default rests, and is tried again soon." in shown


@pytest.mark.parametrize("model", MODELS)
def test_trying_again_ends_the_rest(model: str) -> None:
    """The question repeats the reason; the answer ends the rest of this account only."""
    for account in ("default", "other"):
        Breaker(account).trip(45009, "reach max api daily quota limit")
    client = browser(*SEE, "send_notification")
    address = page(model, "try_again", "default")
    assert "Today&#x27;s quota" in text(client.get(address))
    response = client.post(address, {"post": "yes"}, follow=True)
    assert "no longer rests" in told(response)
    assert Breaker("default").rest() is None
    assert Breaker("other").rest() is not None


def test_trying_again_what_does_not_rest() -> None:
    """Two people press the button: the second is told that it is done."""
    client = browser(*SEE, "send_notification")
    response = client.post(page("sendlog", "try_again", "default"), {"post": "yes"}, follow=True)
    assert told(response) == "This account does not rest."


@pytest.mark.parametrize(
    "wrong", [{"DISPATCHER": "nowhere.Dispatcher"}, {"default": {"BACKEND": "nowhere.Backend"}}]
)
def test_trying_again_where_the_settings_are_wrong(
    configure: Callable[..., None], wrong: dict[str, Any]
) -> None:
    """What is wrong is told, and the account rests on."""
    Breaker("default").trip(45009, "reach max api daily quota limit")
    configure(**wrong)
    client = browser(*SEE, "send_notification")
    response = client.post(page("sendlog", "try_again", "default"), {"post": "yes"}, follow=True)
    assert "nowhere." in told(response)
    assert "no longer rests" not in told(response)
    assert Breaker("default").rest() is not None
    assert not LogEntry.objects.exists()


def test_trying_again_an_account_that_is_not_configured() -> None:
    """An alias that nobody configured is not found."""
    client = browser(*SEE, "send_notification")
    address = page("sendlog", "try_again", "nowhere")
    assert client.post(address, {"post": "yes"}).status_code == 404
