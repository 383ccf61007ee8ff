"""A notification's page while it runs: how far it is, what went wrong, what can be resent."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import RESEND, SEE, browser, page, text, told
from tests.factories import ORDER, make_bindings
from wechat_notify.admin.parts.charts import segments
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import notify, pause

pytestmark = pytest.mark.django_db


@pytest.fixture
def notification(template: MessageTemplate) -> Notification:
    """Ten messages that wait."""
    return notify(make_bindings(10), template, ORDER)


def change(notification: Notification, count: int, **values: Any) -> list[int]:
    """Give ``count`` of the messages that still wait these values."""
    waiting = notification.logs.filter(status="pending").order_by("pk")[:count]
    chosen = list(waiting.values_list("pk", flat=True))
    SendLog.objects.filter(pk__in=chosen).update(**values)
    return chosen


def ask(notification: Notification, **query: Any) -> dict[str, Any]:
    """What the page's script gets."""
    address = page("notification", "progress", notification.pk)
    response = browser(*SEE, *RESEND).get(address, query)
    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    answer: dict[str, Any] = response.json()
    return answer


def test_the_page_says_how_far_it_is(notification: Notification) -> None:
    """The same panel stands on the page and in the answer to its script."""
    change(notification, 4, status="sent", errcode=0)
    answer = ask(notification)
    assert "4 of 10 done (40 %)" in answer["html"]
    assert 'aria-valuenow="40"' in answer["html"]
    assert answer["done"] == 4
    shown = text(browser(*SEE).get(page("notification", "change", notification.pk)))
    assert "4 of 10 done (40 %)" in shown
    assert page("notification", "progress", notification.pk) in shown


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still."""
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)


def test_rate_and_time_left_come_from_two_looks(notification: Notification, still: None) -> None:
    """What was done since the earlier look, over the seconds since; without one, neither."""
    change(notification, 7, status="sent", errcode=0)
    assert " a second" not in ask(notification)["html"]
    html = ask(notification, done=0, at=timezone.now().timestamp() - 3.5)["html"]
    assert "2 a second" in html
    assert "about 2 seconds left" in html


@pytest.mark.parametrize(
    ("done", "seconds", "left"),
    [(4, 480, "0.62 a minute about 8 minutes left"), (4, 86400, "about 24 hours left")],
)
def test_long_waits_are_told_in_minutes_and_hours(
    notification: Notification, still: None, done: int, seconds: int, left: str
) -> None:
    """Nobody reads "about 28800 seconds left"."""
    change(notification, 5, status="sent", errcode=0)
    at = timezone.now().timestamp() - seconds / 5
    html = ask(notification, done=done, at=at)["html"]
    assert left in " ".join(re.sub("<[^>]*>", "", html).split())


@pytest.mark.parametrize(
    "query",
    [
        {"done": "x", "at": "y"},
        {"done": "1"},
        {"done": 1, "at": "nan"},
        {"done": 1, "at": "inf"},
        {"done": 99, "at": 0},
        {"done": f"-{'9' * 400}", "at": 0},
        {"done": 0, "at": 1e300},
    ],
)
def test_a_nonsensical_earlier_look_is_no_rate(
    notification: Notification, query: dict[str, Any]
) -> None:
    """What comes from the address bar is not trusted."""
    assert "a second" not in ask(notification, **query)["html"]


def test_how_soon_the_page_asks_again(notification: Notification) -> None:
    """Soon while messages go out, now and then while they are held or receipts may come, and
    never when nothing more will happen."""
    assert ask(notification)["again"] == 2
    pause(notification)
    answer = ask(notification)
    assert answer["again"] == 15
    assert "The notification is paused." in answer["html"]
    SendLog.objects.update(status="sent", errcode=0)
    Notification.objects.update(created_at=timezone.now() - timedelta(minutes=30))
    answer = ask(notification)
    assert answer["again"] == 15
    assert "All 10 messages are done." in answer["html"]
    Notification.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert ask(notification)["again"] is None
    assert 'data-again=""' in ask(notification)["html"]
    SendLog.objects.update(status="delivered")
    Notification.objects.update(created_at=timezone.now())
    assert ask(notification)["again"] is None


def test_receipts_are_seen_as_they_come(notification: Notification) -> None:
    """Just after the sending the page asks soon, so that its last look is not long after the end:
    after a small one by its age, after a long one by what was done since the look before."""
    SendLog.objects.update(status="sent", errcode=0)
    assert ask(notification)["again"] == 2
    Notification.objects.update(created_at=timezone.now() - timedelta(minutes=30))
    lately = timezone.now().timestamp() - 10
    assert ask(notification, done=7, at=lately)["again"] == 2
    assert ask(notification, done=10, at=lately)["again"] == 15


def test_a_rest_that_ends_is_seen_soon(notification: Notification) -> None:
    """It ends by itself, and then everything may be over in seconds."""
    Breaker("default").trip(45009, "reach max api daily quota limit")
    answer = ask(notification)
    assert answer["again"] == 2
    assert "Account at rest</span>" in answer["html"]


def test_the_page_is_there_when_it_starts(notification: Notification, still: None) -> None:
    """A page that waits for a time to come asks at that time, not up to 15 seconds later."""
    for seconds, again in ((3600, 15), (6, 6), (1, 2)):
        when = timezone.now() + timedelta(seconds=seconds - 0.5)
        Notification.objects.update(send_at=when)
        assert ask(notification)["again"] == again


def test_the_panel_says_that_it_is_over(notification: Notification) -> None:
    """For the script, which then takes away the news that the message is on its way."""
    assert "data-over" not in ask(notification)["html"]
    SendLog.objects.update(status="failed", due_at=None)
    assert "data-over" in ask(notification)["html"]


def test_what_holds_it_is_told(notification: Notification) -> None:
    """A time to come, a paused template, an account at rest."""
    Notification.objects.update(send_at=timezone.now() + timedelta(hours=1))
    answer = ask(notification)
    assert "It starts at" in answer["html"]
    assert answer["again"] == 15
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    Breaker("default").trip(45009, "reach max api daily quota limit")
    html = ask(notification)["html"]
    assert "The template is paused" in html
    assert "Account default rests until" in html


def test_failures_are_grouped_and_explained(notification: Notification) -> None:
    """Cause, next step and errcode once for all messages that share them, with a way to them."""
    change(notification, 3, status="failed", errcode=43004, errmsg="rid: 1", due_at=None)
    change(notification, 2, status="uncertain", due_at=None)
    change(notification, 1, status="skipped", errmsg="This user has not bound WeChat.")
    change(notification, 1, status="undelivered", errcode=0, receipt_status="failed:user block")
    html = ask(notification)["html"]
    assert html.count("The person does not follow the account.") == 1
    assert "Ask the person to follow the account again." in html
    assert "(errcode 43004)" in html
    assert "This user has not bound WeChat." in html
    assert "Ask the person whether it came" in html
    assert "the person refuses messages of this account" in html
    assert "Only the person can allow messages of this account again." in html
    query = f"notification={notification.pk}&amp;status__exact=failed&amp;error=43004"
    assert query in html
    listed = browser(*SEE).get(
        page("sendlog"),
        {"notification": notification.pk, "status__exact": "failed", "error": 43004},
    )
    assert listed.context["cl"].result_count == 3


def test_only_what_can_be_resent_is_offered(notification: Notification) -> None:
    """Transient failures are resent together; the rest stays where it is, and nothing twice."""
    passing = change(notification, 3, status="failed", errcode=-1, due_at=None)
    gone = change(notification, 2, status="failed", errcode=43004, due_at=None)
    OpenIDBinding.objects.filter(logs__in=gone).update(subscribed=False)
    change(notification, 1, status="uncertain", due_at=None)
    address = page("notification", "resend", notification.pk)
    html = ask(notification)["html"]
    assert "Resend the 3 that can be resent" in html
    assert address in html
    client = browser(*SEE, *RESEND)
    assert "3 messages will be sent again." in text(client.get(address))
    assert "3 messages were resent" in told(client.post(address, {"post": "yes"}, follow=True))
    again = SendLog.objects.filter(resend_of__isnull=False)
    assert sorted(again.values_list("resend_of", flat=True)) == passing
    assert LogEntry.objects.get().user.username == "clerk"
    assert "that can be resent" not in ask(notification)["html"]
    assert "Nobody would get this message." in text(client.get(address))


def test_the_offer_is_for_those_who_may_accept_it(notification: Notification) -> None:
    """Without the permission there is no button to be refused at."""
    change(notification, 3, status="failed", errcode=-1, due_at=None)
    shown = text(browser(*SEE).get(page("notification", "change", notification.pk)))
    assert "that can be resent" not in shown


def test_nobody_to_write_to(template: MessageTemplate) -> None:
    """There is nothing to wait for."""
    answer = ask(notify([], template, ORDER))
    assert "There are no recipients." in answer["html"]
    assert answer["again"] is None


def test_a_look_costs_a_fixed_number_of_queries(
    notification: Notification, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """However many messages and causes there are."""
    for errcode in (43004, 43101, 47003, -1, 43117):
        change(notification, 1, status="failed", errcode=errcode, due_at=None)
    client = browser(*SEE, *RESEND)
    with django_assert_max_num_queries(12):
        client.get(page("notification", "progress", notification.pk))


def test_the_bar_fills_from_its_start() -> None:
    """What has arrived stands first, what still waits last, and together they are the whole."""
    counts = {"pending": 30, "sent": 20, "delivered": 25, "failed": 25}
    pieces = segments(counts)
    assert [piece.tone for piece in pieces] == ["good", "accepted", "bad", "waiting"]
    assert [float(piece.x) for piece in pieces] == [0, 25, 45, 70]
    assert [float(piece.width) for piece in pieces] == [25, 20, 25, 30]
