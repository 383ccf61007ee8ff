"""A notification's messages as a CSV file."""

import csv
import io
from typing import Any

import pytest
from django.utils import timezone, translation

from tests.admin_pages import SEE, browser, page, text
from tests.factories import ORDER, make_binding, make_bindings, make_user, openid
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


def download(notification: Notification, *codenames: str) -> str:
    client = browser(*SEE, *codenames)
    response = client.get(page("notification", "csv", notification.pk))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment; filename=")
    return b"".join(response.streaming_content).decode()


def rows(content: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(content.removeprefix("\ufeff"))))


def test_every_message_is_a_line(template: MessageTemplate) -> None:
    """Who, what became of it and why; the file says that it is UTF-8, for Chinese names."""
    notification = notify(
        [make_binding(make_user("王小明")), make_binding(number=2)], template, ORDER
    )
    first = notification.logs.order_by("pk")[0]
    now = timezone.now()
    SendLog.objects.filter(pk=first.pk).update(
        status="failed", errcode=43004, rid="1-2-3", attempts=1, sent_at=now
    )
    content = download(notification)
    assert content.startswith("\ufeff")
    found = rows(content)
    assert len(found) == 2
    assert found[0]["Recipient"] == "王小明"
    assert found[0]["Status"] == "failed"
    assert "does not follow" in found[0]["Explanation"]
    assert found[0]["Error code"] == "43004"
    assert found[0]["Request number (rid)"] == "1-2-3"
    assert found[0]["Attempts"] == "1"
    assert found[0]["Sent at"] == timezone.localtime(now).strftime("%Y-%m-%d %H:%M:%S")
    assert found[1]["Status"] == "waiting"
    assert found[1]["Error code"] == found[1]["Message number (msgid)"] == found[1]["Sent at"] == ""


def test_openids_are_masked_without_the_permission(template: MessageTemplate) -> None:
    """A file travels further than a page."""
    notification = notify(make_binding(), template, ORDER)
    assert openid(1) not in download(notification)
    assert rows(download(notification))[0]["openid"] == "oTes…001"
    assert openid(1) in download(notification, "view_openid")


@pytest.mark.parametrize("name", ["=1+1", "+86", "-1", "@SUM(A1)", "\t=1", " =1"])
def test_names_are_never_formulas(template: MessageTemplate, name: str) -> None:
    """People choose their own names; a spreadsheet must not calculate them."""
    notification = notify(make_binding(make_user(name)), template, ORDER)
    assert rows(download(notification))[0]["Recipient"] == f"'{name.strip()}"


def test_errcodes_stay_numbers(template: MessageTemplate) -> None:
    """-1 is WeChat's code, not a formula."""
    notification = notify(make_binding(), template, ORDER)
    SendLog.objects.update(status="failed", errcode=-1)
    assert rows(download(notification))[0]["Error code"] == "-1"


def test_long_numbers_are_texts(template: MessageTemplate) -> None:
    """A spreadsheet would round a msgid, and nobody could search for it any more."""
    notification = notify(make_binding(make_user("330106199001011234")), template, ORDER)
    SendLog.objects.update(status="sent", errcode=0, msgid=2928376410293847561)
    (row,) = rows(download(notification))
    assert row["Message number (msgid)"] == "\t2928376410293847561"
    assert row["Recipient"] == "\t330106199001011234"
    assert row["Number"] == str(notification.logs.get().pk)


def test_people_stand_with_their_full_names(template: MessageTemplate) -> None:
    """As on the list of messages, with the name they sign in with beside it."""
    user = make_user("chen")
    user.last_name, user.first_name = "陈", "敏"
    user.save()
    (row,) = rows(download(notify(make_binding(user), template, ORDER)))
    assert row["Recipient"] == "陈敏 (chen)"


def test_a_long_file_is_streamed_with_few_queries(
    template: MessageTemplate, django_assert_max_num_queries: Any
) -> None:
    """Rows come in chunks, each with its user, and nothing is asked row by row."""
    notification = notify(make_bindings(300), template, ORDER)
    client = browser(*SEE)
    with django_assert_max_num_queries(6):
        response = client.get(page("notification", "csv", notification.pk))
        assert len(rows(b"".join(response.streaming_content).decode())) == 300


def test_a_file_in_another_language_leaves_the_language_alone(template: MessageTemplate) -> None:
    """Lines are made after the view has returned; whoever is served next is not in for it."""
    notification = notify(make_binding(), template, ORDER)
    client = browser(*SEE)
    with translation.override("de"):
        response = client.get(page("notification", "csv", notification.pk))
    assert b"".join(response.streaming_content)
    assert translation.get_language() == "en"


def test_the_page_links_to_the_file_for_those_who_may_see_the_log(
    template: MessageTemplate,
) -> None:
    """It is the send log of one notification, so it takes the send log's permission."""
    notification = notify(make_binding(), template, ORDER)
    address = page("notification", "csv", notification.pk)
    shown = page("notification", "change", notification.pk)
    assert address in text(browser(*SEE).get(shown))
    assert address not in text(browser("view_notification", name="other").get(shown))
