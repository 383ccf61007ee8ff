"""Pages of a send log that may have millions of rows."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import RESEND, SEE, browser, page, resend_form, serve_admin, text
from tests.factories import ORDER, make_bindings
from wechat_notify.admin.pages.send_log import SendLogAdmin
from wechat_notify.admin.parts.paging import AtLeast, CappedPaginator
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

LIST = "/admin/wechat_notify/sendlog/"


class CountsSeven(CappedPaginator):
    most_counted = 7


class SmallPages(SendLogAdmin):
    list_per_page = 4
    paginator = CountsSeven


@pytest.fixture
def notification(template: MessageTemplate, settings: Any) -> Notification:
    """Ten messages, four on a page, of which no more than seven are counted."""
    serve_admin(settings, SendLog, SmallPages)
    return notify(make_bindings(10), template, ORDER)


def test_a_number_that_nobody_counted_to_its_end() -> None:
    """It compares as it is and reads as what is known."""
    number = AtLeast(10_000)
    assert number > 9_999
    assert str(number) == "10000+"


def test_the_count_is_capped_and_says_so(notification: Notification) -> None:
    """On the page, and where all are to be selected."""
    client = browser(*SEE, *RESEND)
    shown = text(client.get(LIST))
    assert "7+ send log" in shown
    assert "All 7+ selected" in shown


def test_below_the_cap_the_count_is_the_count(notification: Notification) -> None:
    """Seven of seven are no "7+"."""
    # A list, since MariaDB takes no LIMIT in a subquery.
    oldest = list(notification.logs.order_by("pk").values_list("pk", flat=True)[:3])
    SendLog.objects.filter(pk__in=oldest).delete()
    shown = text(browser(*SEE).get(LIST))
    assert "7 send log" in shown
    assert "Older ones" not in shown


def test_older_ones_are_reached_from_the_last_page(notification: Notification) -> None:
    """Page by page and link by link everything is seen once, and filters stay."""
    client = browser(*SEE)
    address, seen = f"{LIST}?status__exact=pending", []
    while address:
        response = client.get(address)
        cl = response.context["cl"]
        seen += [row.pk for row in cl.result_list]
        for number in range(2, cl.paginator.num_pages + 1):
            response = client.get(f"{address}&p={number}")
            cl = response.context["cl"]
            seen += [row.pk for row in cl.result_list]
        assert ("Older ones" in text(response)) is bool(cl.older_url)
        address = f"{LIST}{cl.older_url}" if cl.older_url else ""
        assert "status__exact=pending" in (address or "status__exact=pending")
    assert seen == sorted(notification.logs.values_list("pk", flat=True), reverse=True)


def test_resending_all_means_all(notification: Notification) -> None:
    """What was not counted for the list is counted for the question, and resent."""
    notification.logs.update(status="failed", errcode=-1, due_at=None)
    client = browser(*SEE, *RESEND)
    form = resend_form(notification.logs.first(), select_across=1)  # type: ignore[arg-type]
    assert "10 messages will be sent again." in text(client.post(LIST, form))
    client.post(LIST, {**form, "post": "yes"})
    assert SendLog.objects.filter(resend_of__isnull=False).count() == 10


def test_nobody_sorts_the_whole_table(
    notification: Notification, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """A column heading is no link, and a forged order is ignored."""
    client = browser(*SEE)
    shown = client.get(LIST, {"o": "1"})
    assert "sortable" not in text(shown)
    newest = [row.pk for row in shown.context["cl"].result_list]
    assert newest == sorted(newest, reverse=True)
    with django_assert_max_num_queries(9):
        client.get(page("sendlog"), {"p": 2})


@pytest.mark.parametrize(
    ("error", "count"), [("-1", 2), ("43004", 1), ("40003", 0), ("x", 10), ("9" * 30, 10)]
)
def test_the_list_of_one_errcode(notification: Notification, error: str, count: int) -> None:
    """The codes that occur are offered in words, and so is one that a link leads to."""
    pks = list(notification.logs.values_list("pk", flat=True))
    SendLog.objects.filter(pk__in=pks[:2]).update(status="failed", errcode=-1)
    SendLog.objects.filter(pk=pks[2]).update(status="failed", errcode=43004)
    response = browser(*SEE).get(LIST, {"error": error})
    assert response.context["cl"].queryset.count() == count
    shown = text(response)
    assert "-1 · WeChat is busy." in shown
    assert "43004 · The person does not follow the account." in shown
    assert ("40003 · " in shown) is (error == "40003")
