"""The dashboard: today and thirty days, what went wrong, what rests, what is left of quotas."""

import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import SEE, browser, page, text
from tests.factories import ORDER, make_bindings, make_template
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending.breaker import Breaker
from wechat_notify.sending.forks_record import record_no_threads
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


@pytest.fixture
def address() -> str:
    return page("sendlog", "dashboard")


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still, so that no midnight falls into a test."""
    now = datetime(2026, 11, 23, 12, tzinfo=timezone.get_default_timezone())
    monkeypatch.setattr(timezone, "now", lambda: now)


def test_today_and_thirty_days_are_counted(template: MessageTemplate, address: str) -> None:
    """By status, by day and by template, with a way to the messages."""
    bindings = make_bindings(3)
    notify(bindings, template, ORDER)
    older = notify(bindings, template, ORDER)
    Notification.objects.filter(pk=older.pk).update(created_at=timezone.now() - timedelta(days=3))
    response = browser(*SEE).get(address)
    shown = text(response)
    assert response.context["overview"].today == {"pending": 3}
    assert response.context["overview"].total == {"pending": 6}
    assert shown.count('<rect class="wechat-bar--waiting"') == 3
    assert "Highest day: 3" in shown
    assert f"?notification__template__id__exact={template.pk}" in shown


def test_causes_are_explained(template: MessageTemplate, address: str) -> None:
    """The same table as on a notification's page, for all of them."""
    notify(make_bindings(2), template, ORDER)
    SendLog.objects.update(status="failed", errcode=43004)
    shown = text(browser(*SEE).get(address))
    assert "The person does not follow the account." in shown
    assert "status__exact=failed&amp;error=43004" in shown


def test_each_number_leads_to_the_messages_behind_it(
    template: MessageTemplate, address: str
) -> None:
    """To just these, of the thirty days alone, by cause and by template."""
    notification = notify(make_bindings(8), template, ORDER)
    logs = list(notification.logs.order_by("pk"))
    for log, values in zip(
        logs,
        [
            {"status": "failed", "errcode": 43004},
            {"status": "failed", "errmsg": "nobody answered"},
            {"status": "failed", "errmsg": "nobody answered", "errcode": 0},
            {"status": "failed", "errmsg": "too slow"},
            {"status": "skipped", "errmsg": "This user has not bound WeChat."},
            {"status": "skipped"},
            {"status": "undelivered", "receipt_status": "failed:user block", "errcode": 0},
            {"status": "undelivered", "receipt_status": "failed: system failed", "errcode": 0},
        ],
        strict=True,
    ):
        SendLog.objects.filter(pk=log.pk).update(**values)
    old = Notification.objects.create(template=template)
    when = timezone.now() - timedelta(days=40)
    Notification.objects.filter(pk=old.pk).update(created_at=when)
    for log in logs:
        log.refresh_from_db()
        log.pk, log.notification = None, old
        log.save(force_insert=True)
    client = browser(*SEE)
    shown = client.get(address).context
    assert sorted(cause["count"] for cause in shown["causes"]) == [1, 1, 1, 1, 1, 1, 2]
    for row in shown["causes"]:
        assert client.get(row["url"]).context["cl"].result_count == row["count"]
    (row,) = shown["templates"]
    assert client.get(row["url"]).context["cl"].result_count == row["total"] == 8


def test_a_reason_is_said_beside_the_list(template: MessageTemplate) -> None:
    """Which one the list is narrowed to; what no reason can be finds nothing."""
    notify(make_bindings(1), template, ORDER)
    reason = "This user has not bound WeChat."
    SendLog.objects.update(status="skipped", errmsg=reason)
    client = browser(*SEE)
    response = client.get(page("sendlog"), {"reason": reason})
    assert f">{reason}</a>" in text(response)
    assert response.context["cl"].result_count == 1
    for nonsense in ("a\0b", ""):
        response = client.get(page("sendlog"), {"reason": nonsense})
        assert response.context["cl"].result_count == 0


def test_what_is_at_rest_is_told(template: MessageTemplate, address: str) -> None:
    """Accounts and templates that send nothing at the moment, and why."""
    Breaker("default").trip(45009, "reach max api daily quota limit")
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    shown = text(browser(*SEE).get(address))
    assert "Account default rests until" in shown
    assert "(errcode 43116)" in shown


def test_servers_that_send_in_the_request_are_told(address: str) -> None:
    """Those whose processes cannot run threads, with what to do."""
    assert "cannot run threads" not in text(browser(*SEE).get(address))
    record_no_threads()
    shown = text(browser(*SEE).get(address))
    assert f"Server {socket.gethostname()}: processes cannot run threads" in shown
    assert "enable-threads = true" in shown


def test_an_empty_site_says_what_to_do_first(address: str) -> None:
    """No empty axes."""
    shown = text(browser(*SEE).get(address))
    assert "No message in thirty days." in shown
    assert '<svg class="wechat-chart"' not in shown


def test_the_counting_is_kept_for_a_minute(
    template: MessageTemplate, address: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """It reads every message of thirty days, so not once for each visitor."""
    for number in range(5):
        notify(
            make_bindings(2, first=10 * number + 1),
            make_template(f"t{number}", title=f"title{number}"),
            ORDER,
        )
    client = browser(*SEE)
    # Two of them ask each account's messages whether they are overdue.
    with django_assert_max_num_queries(12):
        client.get(address)
    with django_assert_max_num_queries(9):
        assert "title4" in text(client.get(address))
    notify(make_bindings(1, first=99), template, ORDER)
    assert client.get(address).context["overview"].today == {"pending": 10}
    cache.clear()
    assert client.get(address).context["overview"].today == {"pending": 11}


def test_the_quota_is_asked_apart_from_the_page(wechat: Sandbox, address: str) -> None:
    """WeChat may be slow; the page does not wait for it, and it is asked once a minute."""
    client = browser(*SEE)
    quota = page("sendlog", "quota")
    assert f'data-wechat-live="{quota}"' in text(client.get(address))
    assert wechat.calls["/cgi-bin/openapi/quota/get"] == 0
    for _ in range(2):
        html = client.get(quota).json()["html"]
        assert "0 of 100000 used, 100000 left" in html
        assert "backend knows no quota." in html
    assert wechat.calls["/cgi-bin/openapi/quota/get"] == 1
    assert "100000 left" in text(client.get(address, {"quota": "yes"}))


def test_a_quota_that_cannot_be_told(
    wechat: Sandbox, configure: Callable[..., None], address: str
) -> None:
    """A refusal or a wrong setting stands where the number would."""
    wechat.fail(48001, path="/cgi-bin/openapi/quota/get")
    assert "48001" in browser(*SEE).get(page("sendlog", "quota")).json()["html"]
    cache.clear()
    configure(default={"BACKEND": "no.such.Backend"})
    assert "no.such.Backend" in browser(*SEE).get(page("sendlog", "quota")).json()["html"]


def test_the_apps_index_and_the_list_lead_here(address: str) -> None:
    """For those who may see it; the index by its own entry (test_admin_menu.py)."""
    index = "/admin/wechat_notify/"
    client = browser(*SEE)
    assert page("dashboardpage") in text(client.get(index))
    assert address in text(client.get(page("sendlog")))
    assert page("dashboardpage") not in text(
        browser("view_messagetemplate", name="other").get(index)
    )


def test_a_cache_that_keeps_only_json(
    template: MessageTemplate, wechat: Sandbox, settings: Any, address: str
) -> None:
    """The counting and the quota come back from it as they were."""
    settings.CACHES = {"default": {"BACKEND": "tests.caches.KeepsJSON", "LOCATION": "json"}}
    notify(make_bindings(2), template, ORDER)
    SendLog.objects.filter(pk=SendLog.objects.latest("pk").pk).update(status="failed", errcode=-1)
    client = browser(*SEE)
    first, again = (client.get(address, {"quota": "yes"}) for _ in range(2))
    for name in ("overview", "causes", "quota"):
        assert first.context[name] == again.context[name]
    assert "WeChat is busy." in text(again)
    assert "100000 left" in text(again)
