"""The people whom a notification did not reach: who sees them, and what it says of each."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.admin_pages import page, staff, text
from wechat_notify.admin.pages import not_reached
from wechat_notify.models import Notification, SendLog
from wechat_notify.services import bind, notify, resend

pytestmark = pytest.mark.django_db

NEEDED = ("view_notification", "view_sendlog", "view_user")
EVERYTHING = (
    *NEEDED,
    "view_openidbinding",
    "add_openidbinding",
    "resend_sendlog",
    "send_notification",
)


def browser(*codenames: str) -> Client:
    user = staff()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def notification(template: Any) -> Notification:
    """Of five people two get it."""
    fine, failed = factories.make_bindings(2)
    unbound = factories.make_user("alice", last_name="王", first_name="敏")
    formula = factories.make_user("eve", last_name="=1+1")
    made = notify([fine.user, failed.user, unbound, formula], template, factories.ORDER)
    SendLog.objects.filter(user=failed.user).update(status="failed", errcode=47003)
    return made


def addresses(notification: Notification) -> list[str]:
    names = ("not_reached", "not_reached_csv")
    return [page("notification", name, notification.pk) for name in names]


def csv(client: Client, notification: Notification) -> str:
    answer: Any = client.get(addresses(notification)[1])
    return b"".join(answer.streaming_content).decode()


def test_it_takes_each_permission(notification: Notification) -> None:
    """To see notifications, the send log, and users."""
    for address in addresses(notification):
        assert "/login/" in Client().get(address)["Location"]
        assert browser(*NEEDED).get(address).status_code == 200
        for missing in NEEDED:
            others = [codename for codename in EVERYTHING if codename != missing]
            assert browser(*others).get(address).status_code == 403, missing


def test_a_button_leads_to_it(notification: Notification) -> None:
    """On the notification's page, for those who may see it."""
    change, address = page("notification", "change", notification.pk), addresses(notification)[0]
    assert f'href="{address}"' in text(browser(*NEEDED).get(change))
    assert address not in text(browser("view_notification", "view_sendlog").get(change))


def test_another_account_does_not_exist(
    notification: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the page nor the file."""

    def allowed(request: HttpRequest, account: str) -> bool:
        return account == "other"

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)
    for address in addresses(notification):
        assert browser(*EVERYTHING).get(address).status_code == 404


def test_each_has_a_reason_and_a_next_step(notification: Notification) -> None:
    """Those who got it are not there. Who may neither invite nor resend reads what to do."""
    shown = text(browser(*NEEDED).get(addresses(notification)[0]))
    paper = shown.partition('class="wechat-paper"')[2]
    assert "user1" not in paper
    assert "王敏" in paper
    assert "This user has not bound WeChat." in paper
    assert "Invite them to bind WeChat." in paper
    assert "47003" in paper
    assert 'class="button"' not in paper


def test_who_can_be_reached_by_now_is_resent_to(notification: Notification, template: Any) -> None:
    """The button of each person changes with what is known; what was resent needs no more."""
    client, address = browser(*EVERYTHING), addresses(notification)[0]
    log = notification.logs.get(user__username="alice")
    invite = f"{page('openidbinding', 'invite', 'default')}?user={log.user_id}"
    again = page("sendlog", "resend", log.pk)
    before = text(client.get(address))
    assert (invite in before, again in before) == (True, False)
    bind(log.user, factories.openid(9))
    after = text(client.get(address))
    assert (invite in after, again in after) == (False, True)
    assert "can be reached by now" in after
    resend(SendLog.objects.filter(pk=log.pk))
    done = text(client.get(address))
    assert again not in done
    assert "It was resent." in done


def test_the_file_says_the_same(notification: Notification) -> None:
    """Names, status, reason and next step; no openid, and nothing that a spreadsheet calculates."""
    lines = csv(browser(*NEEDED), notification).splitlines()
    assert lines[0] == "\ufeffRecipient,Status,Why,What to do"
    assert len(lines) == 4
    unbound = "skipped,This user has not bound WeChat.,Invite them to bind WeChat."
    assert f"王敏 (alice),{unbound}" in lines
    assert f"'=1+1 (eve),{unbound}" in lines
    assert "oTest" not in "".join(lines)


def test_a_list_of_thousands_is_paged(
    template: Any, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    """And asks no more of the database than a short one; the file has all of them."""
    people = [factories.make_user(f"parent{number}") for number in range(25)]
    notification = notify(people, template, factories.ORDER)
    monkeypatch.setattr(not_reached, "ROWS", 10)
    monkeypatch.setattr(not_reached, "CHUNK", 10)
    client, address = browser(*NEEDED), addresses(notification)[0]
    with django_assert_max_num_queries(16):
        shown = text(client.get(address))
    assert shown.count("has not bound") == 10
    assert "?page=2" in shown
    assert text(client.get(address, {"page": 3})).count("has not bound") == 5
    assert len(csv(client, notification).splitlines()) == 26


def test_the_site_is_asked_once_for_a_persons_accounts(
    template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer may take a query: a long list asks no more of the database than a short one."""

    def allowed(request: HttpRequest, account: str) -> bool:
        return not request.user.groups.filter(name=f"not-{account}").exists()

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)
    client = browser(*EVERYTHING)
    counts = []
    for number in (1, 20):
        people = [factories.make_user(f"parent{number}-{n}") for n in range(number)]
        address = addresses(notify(people, template, factories.ORDER))[0]
        with CaptureQueriesContext(connection) as queries:
            shown = text(client.get(address))
        assert shown.count("?user=") == number
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_nobody_was_missed(template: Any) -> None:
    """The page says so, and offers nothing."""
    notification = notify(factories.make_binding().user, template, factories.ORDER)
    shown = text(browser(*EVERYTHING).get(addresses(notification)[0]))
    assert "no message has failed or was skipped" in shown
    assert ".csv" not in shown


def test_an_openid_without_a_user_is_masked(template: Any) -> None:
    """Whoever may see openids sees it whole."""
    openid = factories.openid(77)
    notification = notify(openid, template, factories.ORDER)
    SendLog.objects.update(status="failed", errcode=43004)
    address = addresses(notification)[0]
    assert openid not in text(browser(*NEEDED).get(address))
    assert openid in text(browser(*NEEDED, "view_openid").get(address))
    assert openid not in csv(browser(*NEEDED, "view_openid"), notification)
