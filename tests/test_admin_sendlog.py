"""The send log: finding a message, and reading why it stands as it does."""

import re
from datetime import datetime, timedelta
from datetime import timezone as dt_timezone
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone, translation
from django.utils.formats import date_format
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import RESEND, SEE, browser, page, text
from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import notify, pause

pytestmark = pytest.mark.django_db

LIST = "/admin/wechat_notify/sendlog/"


@pytest.fixture
def log(template: MessageTemplate) -> SendLog:
    """One message to one person, waiting to be sent."""
    return notify(make_binding(), template, ORDER).logs.get()


def change(log: SendLog, **values: Any) -> None:
    SendLog.objects.filter(pk=log.pk).update(**values)


def detail(log: SendLog, client: Client | None = None) -> str:
    client = client or browser("view_sendlog")
    return text(client.get(page("sendlog", "change", log.pk)))


def listed(query: str = "", **values: Any) -> list[int]:
    """The numbers of the rows that a search or a filter finds."""
    response = browser(*SEE).get(LIST, {"q": query, **values} if query else values)
    assert response.status_code == 200, response
    return sorted(row.pk for row in response.context["cl"].result_list)


# -- the list ---------------------------------------------------------------------------------


def test_the_list_says_who_what_and_why(log: SendLog) -> None:
    """A row names the person, the template, the status and the reason in plain language."""
    change(log, status="failed", errcode=43004, errmsg="require subscribe")
    shown = text(browser("view_sendlog").get(LIST))
    assert "user1" in shown
    assert "订单支付成功通知" in shown
    assert '<span class="wechat-badge wechat-badge--bad">failed</span>' in shown
    assert log.explanation == ""
    log.refresh_from_db()
    assert log.explanation in shown


def test_an_accepted_message_has_no_reason(log: SendLog) -> None:
    """WeChat's "ok" is no explanation, and errcode 0 is no error."""
    change(log, status="sent", errcode=0, errmsg="ok", msgid=5)
    shown = text(browser("view_sendlog").get(LIST))
    assert '<td class="field-explanation">-</td>' in shown
    shown = text(browser("view_sendlog").get(page("sendlog", "change", log.pk)))
    assert re.search(r"<label>Error code:</label>\s*<div class=.readonly.>-</div>", shown)


def test_people_are_shown_by_name(log: SendLog) -> None:
    """Full name and user name, in the list and on the message's page."""
    get_user_model().objects.filter(pk=log.user_id).update(last_name="王", first_name="小明")
    for url in (LIST, page("sendlog", "change", log.pk)):
        assert "王小明 (user1)" in text(browser("view_sendlog").get(url))


def test_the_list_says_why_a_message_was_not_delivered(log: SendLog) -> None:
    """A receipt's refusal is explained there too, in words and not as WeChat puts it."""
    change(log, status="undelivered", errcode=0, errmsg="ok", receipt_status="failed:user block")
    shown = text(browser("view_sendlog").get(LIST))
    assert "the person refuses messages of this account" in shown


@pytest.mark.parametrize("address", ["list", "detail"])
def test_openids_are_masked_without_the_permission(log: SendLog, address: str) -> None:
    """Whole openids are for those with view_openid; the rest see enough to tell them apart."""
    url = LIST if address == "list" else page("sendlog", "change", log.pk)
    shown = text(browser("view_sendlog").get(url))
    assert log.openid not in shown
    assert "oTes…001" in shown
    assert log.openid in text(browser("view_sendlog", "view_openid", name="trusted").get(url))


def test_an_openid_cannot_be_guessed_letter_by_letter(log: SendLog) -> None:
    """Neither a lookup in the address nor a part of it in the search finds a masked openid."""
    client = browser("view_sendlog")
    for lookup in ("openid__startswith", "openid", "binding__openid__startswith"):
        response = client.get(LIST, {lookup: log.openid[:5]})
        assert response.status_code in {302, 400}
    assert listed(log.openid[:-1]) == []
    trusted = browser("view_sendlog", "view_openid", name="trusted")
    assert trusted.get(LIST, {"openid__startswith": "oTest"}).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["wang", "小明", "王小明", "小明 王", "x@school.example", openid(1), "3717005636572528642"],
)
def test_search_finds_people_openids_and_msgids(template: MessageTemplate, query: str) -> None:
    """A user name, a part of a name, a Chinese or a western full name, e-mail, openid, msgid."""
    user = make_user("wang1", first_name="小明", last_name="王", email="x@school.example")
    found = notify(make_binding(user), template, ORDER).logs.get()
    notify(make_binding(number=2), template, ORDER)
    change(found, msgid=3717005636572528642)
    assert listed(query) == [found.pk]


@pytest.mark.parametrize("query", ["nobody", "9" * 40, "9" * 5000, "%", "oTest"])
def test_search_for_what_is_not_there(log: SendLog, query: str) -> None:
    """Nothing is found, not even by numbers that no column can hold."""
    assert listed(query) == []


def test_search_for_a_name_that_very_many_share(template: MessageTemplate) -> None:
    """More people than fit into a list of ids are found all the same."""
    notification = notify(make_bindings(205), template, ORDER)
    response = browser("view_sendlog").get(LIST, {"q": "user"})
    assert response.context["cl"].result_count == notification.total


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"status__exact": "failed"}, 1),
        ({"error": "yes"}, 1),
        ({"error": "no"}, 2),
        ({"account": "other"}, 1),
        ({"account": "default"}, 2),
        ({}, 3),
    ],
)
def test_filters(log: SendLog, filters: dict[str, str], count: int) -> None:
    """By status, by account, and by whether WeChat answered with an error."""
    change(log, status="failed", errcode=43004)
    accepted = notify(make_binding(number=2), log.notification.template, ORDER).logs.get()
    change(accepted, status="sent", errcode=0)
    elsewhere = make_template("elsewhere", account="other")
    notify(make_binding(number=3, account="other"), elsewhere, ORDER)
    assert len(listed(**filters)) == count


def test_the_list_of_one_notification_or_one_binding(log: SendLog) -> None:
    """Links from other pages narrow the list down, and the page says to what."""
    notify(make_binding(number=2), log.notification.template, ORDER)
    assert listed(notification=log.notification_id) == [log.pk]
    assert listed(binding=log.binding_id) == [log.pk]
    response = browser("view_sendlog", name="other").get(
        LIST, {"notification": log.notification_id}
    )
    assert str(log.notification) in text(response)


@pytest.mark.parametrize("value", ["999999", "x", "9" * 40, "9" * 5000, ""])
def test_the_list_of_something_that_is_not_there_is_empty(log: SendLog, value: str) -> None:
    """A number that nothing has shows no rows, and never all of them."""
    assert listed(notification=value) == []


def test_the_list_asks_the_database_a_bounded_number_of_times(
    template: MessageTemplate, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """A hundred rows cost as many queries as two, and one count is all the counting there is."""
    client = browser("view_sendlog", *RESEND)
    notify(make_bindings(120), template, ORDER)
    with django_assert_max_num_queries(9) as captured:
        text(client.get(LIST))
    counts = [query for query in captured if "COUNT(*)" in query["sql"]]
    assert len(counts) == 1


# -- one message ------------------------------------------------------------------------------


def test_a_failure_is_explained(log: SendLog) -> None:
    """Cause, next step, errcode, WeChat's own words and the request id for its support."""
    change(log, status="failed", errcode=43004, errmsg="require subscribe", rid="5f1a-2b3c")
    shown = detail(log)
    for words in (
        "The person does not follow the account.",
        "Ask the person to follow the account again.",
        "(errcode 43004)",
        "require subscribe",
        "5f1a-2b3c",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"status": "sending"}, "A worker is sending it"),
        ({"status": "sent", "errcode": 0, "msgid": 1}, "Its receipt has not come yet."),
        ({"status": "sent", "errcode": 0, "errmsg": "ok"}, "reviewing it: it gave no message"),
        ({"status": "delivered", "errcode": 0}, "on the person&#x27;s phone"),
        ({"status": "undelivered", "errcode": 0}, "did not deliver it. It can be resent."),
        (
            {"status": "undelivered", "errcode": 0, "receipt_status": "failed:user block"},
            "Only the person can allow messages of this account again.",
        ),
        ({"status": "uncertain"}, "It may have arrived"),
        ({"status": "expired"}, "It expired before"),
        ({"status": "cancelled"}, "cancelled it before"),
        ({"status": "skipped", "errmsg": "This user has not bound WeChat."}, "has not bound"),
    ],
)
def test_every_status_is_explained(log: SendLog, values: dict[str, Any], said: str) -> None:
    """No status leaves the reader without a sentence."""
    change(log, **values)
    assert said in detail(log)


def test_what_a_waiting_message_waits_for(log: SendLog) -> None:
    """A worker, a time, a paused notification, a paused template, an account at rest."""
    client = browser("view_sendlog")
    assert "It is due, and will be sent soon." in detail(log, client)
    change(log, due_at=timezone.now() + timedelta(hours=1))
    assert "It is due at" in detail(log, client)
    pause(log.notification)
    assert "The notification is paused." in detail(log, client)
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    assert "The template is paused" in detail(log, client)
    Breaker("default").trip(45009, "reach max api daily quota limit")
    shown = detail(log, client)
    assert "Account default rests until" in shown
    assert "will be sent soon" not in shown


def test_the_card_bears_the_time_at_which_it_went_out(log: SendLog) -> None:
    """As WeChat writes it, in the site's time zone and in every language; none before that."""
    assert 'class="wechat-time"' not in detail(log)
    change(log, status="sent", sent_at=datetime(2026, 11, 23, 7, 1, tzinfo=dt_timezone.utc))
    assert '<div class="wechat-time">2026年11月23日 15:01</div>' in detail(log)


def test_the_card_is_the_one_that_was_sent(log: SendLog) -> None:
    """The card shows this recipient's own values over the shared ones."""
    change(log, data={"thing2": {"value": "帽子"}})
    shown = detail(log)
    card = shown[shown.index('<article class="wechat-card">') : shown.index("</article>")]
    assert "帽子" in card
    assert "2026112301" in card
    assert "围巾" not in card


def test_the_time_line_is_in_order(log: SendLog) -> None:
    """From the request to the receipt, each with its moment."""
    start = timezone.now()
    change(
        log,
        status="delivered",
        due_at=None,
        claimed_at=start + timedelta(seconds=1),
        sent_at=start + timedelta(seconds=2),
        receipt_at=start + timedelta(seconds=3),
    )
    shown = detail(log)
    order = ["asked for", "last taken by a worker", "accepted by WeChat", "receipt came"]
    places = [shown.index(f"</time> {what}") for what in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (
            {"status": "skipped", "errmsg": "This user has not bound WeChat."},
            "skipped: This user has not bound WeChat.",
        ),
        ({"status": "failed", "errcode": 43004}, "failed: The person does not follow the account."),
        ({"status": "expired"}, "expired: It expired before it could be sent."),
        ({"status": "cancelled"}, "cancelled: Somebody cancelled it before it was sent."),
        ({"status": "uncertain"}, "uncertain: WeChat gave no usable answer."),
    ],
)
def test_the_time_line_says_when_and_why_it_ended(
    log: SendLog, values: dict[str, Any], what: str
) -> None:
    """The last thing that happened, with its moment; the list has that moment, too."""
    when = log.notification.created_at + timedelta(days=1)
    change(log, **values, due_at=None, finished_at=when)
    shown = re.sub(r"\s+", " ", detail(log))
    assert f"</time> {what}" in shown
    line = shown[shown.index('class="wechat-timeline"') :]
    assert line.index("asked for") < line.index(what)
    listed_at = date_format(timezone.localtime(when), "DATETIME_FORMAT")
    assert listed_at in text(browser("view_sendlog").get(LIST))


def test_what_waits_is_planned(log: SendLog, template: MessageTemplate) -> None:
    """The time of a message to come does not read as that of one that was sent."""
    when = timezone.now() + timedelta(days=2)
    change(log, due_at=when)
    planned = date_format(timezone.localtime(when), "DATETIME_FORMAT")
    shown = text(browser("view_sendlog").get(LIST))
    assert f"planned for {planned}" in shown
    assert "</time> planned for this time" in detail(log)
    change(log, status="sent", errcode=0, due_at=None, sent_at=when)
    shown = text(browser("view_sendlog").get(LIST))
    assert planned in shown
    assert "planned for" not in shown


def test_resends_are_linked_both_ways(log: SendLog) -> None:
    """From the first message to the second and back."""
    again = SendLog.objects.create(
        notification=log.notification, account="default", openid=log.openid, resend_of=log
    )
    client = browser("view_sendlog")
    assert f'resent as: <a href="{page("sendlog", "change", again.pk)}"' in detail(log, client)
    assert f'resend of: <a href="{page("sendlog", "change", log.pk)}"' in detail(again, client)


def test_a_message_whose_user_is_gone_is_still_readable(log: SendLog) -> None:
    """Deleting the user leaves the log, with the masked openid alone."""
    assert log.user is not None
    log.user.delete()
    assert "oTes…001" in detail(log)
    change(log, openid="")
    assert detail(log)


def test_what_people_wrote_is_escaped(template: MessageTemplate) -> None:
    """Names, values, links and WeChat's own words are text, on the list and on the page."""
    evil = "<script>alert(1)</script>"
    log = notify(make_binding(make_user(evil)), template, ORDER).logs.get()
    change(log, status="failed", errcode=47003, errmsg=evil, data={"thing2": {"value": evil}})
    Notification.objects.update(url="javascript:alert(1)")
    client = browser("view_sendlog")
    for shown in (detail(log, client), text(client.get(LIST))):
        assert evil not in shown
        assert 'href="javascript:' not in shown


def test_pages_need_no_inline_script_or_style(log: SendLog) -> None:
    """What this app adds to a page works under a strict content security policy."""
    client = browser(*SEE, *RESEND)
    for url in (
        page("sendlog", "change", log.pk),
        page("notification", "change", log.notification_id),
        page("messagetemplate", "change", log.notification.template_id),
        page("sendlog", "resend", log.pk),
    ):
        own = text(client.get(url)).split('id="content-main"')[1]
        for forbidden in (" style=", "<style", " onclick=", "<script>"):
            assert forbidden not in own


def test_the_pages_speak_the_language_of_the_reader(log: SendLog) -> None:
    """A lazy text is not frozen in the language of the first reader."""
    with translation.override("zh-hans"):
        assert browser("view_sendlog").get(LIST).status_code == 200
