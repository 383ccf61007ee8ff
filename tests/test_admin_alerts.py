"""Alerts in the admin: on its first page, in a list, and on a page of their own."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth.models import Permission
from django.core import mail
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import SEE, browser, page, serve_admin, text
from tests.factories import make_template, make_user
from tests.test_commands_doctor import ask
from wechat_notify.admin.pages.alert_list import AlertAdmin
from wechat_notify.alerts.comparing import look
from wechat_notify.alerts.telling import begin
from wechat_notify.models import Alert, AlertMail
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import resume_template

pytestmark = pytest.mark.django_db

INDEX = "/admin/"


@pytest.fixture
def frozen() -> Alert:
    """The account is frozen, and that is an alert."""
    Breaker("default").trip(50007, "account frozen rid: 1-2-3")
    (alert,) = look().opened
    return alert


@pytest.mark.parametrize("index", [INDEX, "/admin/wechat_notify/"])
def test_the_first_page_says_what_is_wrong(frozen: Alert, index: str) -> None:
    """What, why and what to do, and the way to the alert; on the app's own page, too."""
    shown = text(browser("view_alert").get(index))
    block = shown.partition('class="wechat-alerts"')[2].partition("</section>")[0]
    assert "Account default is at rest" in block
    assert "The official account is frozen." in block
    assert f'href="{page("alert", "change", frozen.pk)}"' in block


def test_it_says_nothing_where_nothing_is_wrong() -> None:
    """Nor when it is over, and never to who may not see alerts."""
    client = browser("view_alert")
    assert "wechat-alerts" not in text(client.get(INDEX))
    template = make_template(paused_at=timezone.now(), pause_errcode=43116)
    look()
    assert "wechat-alerts" in text(client.get(INDEX))
    assert "wechat-alerts" not in text(browser("view_sendlog", name="other").get(INDEX))
    resume_template(template)
    look()
    assert "wechat-alerts" not in text(client.get(INDEX))


def test_it_shows_the_newest_and_leads_to_the_others(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """However many there are, the page stays a page, and asks once."""
    for number in range(6):
        make_template(f"t{number}", paused_at=timezone.now(), pause_errcode=43116)
    look()
    client = browser("view_alert")
    text(client.get(INDEX))
    with django_assert_max_num_queries(7):  # session, user, permissions, the log's own, and one
        shown = text(client.get(INDEX))
    assert shown.count("WeChat has stopped the template") == 3
    assert "3 more open alerts" in shown
    everything = client.get(page("alert"), {"state": "open"})
    assert everything.context["cl"].result_count == 6
    assert f'href="{page("alert")}?state=open"' in shown


def test_it_shows_the_allowed_accounts_alone(
    frozen: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every page of the app."""

    def allowed(request: HttpRequest, account: str) -> bool:
        return account == "other"

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)
    assert "wechat-alerts" not in text(browser("view_alert").get(INDEX))


def test_a_site_that_has_an_index_of_its_own_keeps_it() -> None:
    """Only one that names none gets ours, which extends whatever index it has."""

    class Own(AdminSite):
        index_template = "own_index.html"

    own, plain = Own(), AdminSite()
    for site in (own, plain):
        site.register(Alert, AlertAdmin)
    assert own.index_template == "own_index.html"
    assert plain.index_template == "wechat_notify/admin/index.html"


def test_an_index_that_the_site_has_written_is_extended(frozen: Alert, settings: Any) -> None:
    """Its own templates stand before the admin's, and stay what they are."""
    loaders = [
        (
            "django.template.loaders.locmem.Loader",
            {
                "admin/index.html": '{% extends "admin/base_site.html" %}'
                "{% block content %}<p>Welcome, teachers</p>{% endblock %}"
            },
        ),
        "django.template.loaders.app_directories.Loader",
    ]
    (engine,) = settings.TEMPLATES
    options = {**engine["OPTIONS"], "loaders": loaders}
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]
    shown = text(browser("view_alert").get(INDEX))
    assert "Welcome, teachers" in shown
    assert "Account default is at rest" in shown


def test_the_tag_is_for_any_page_of_the_admin(frozen: Alert, settings: Any) -> None:
    """A site with an index_template of its own writes it there."""
    serve_admin(settings, Alert, AlertAdmin)
    assert "Account default is at rest" in text(browser("view_alert").get(INDEX))


def test_the_list_names_each_with_its_state(frozen: Alert) -> None:
    """The open ones and those that are over, by account, state and kind."""
    template = make_template(paused_at=timezone.now(), pause_errcode=43116)
    look()
    resume_template(template)
    look()
    client = browser(*SEE)
    shown = text(client.get(page("alert")))
    assert "Account default is at rest" in shown
    assert "WeChat has stopped the template order_paid" in shown
    for state, count in (("open", 1), ("over", 1), ("", 2)):
        assert client.get(page("alert"), {"state": state}).context["cl"].result_count == count
    assert client.get(page("alert"), {"q": "order_paid"}).context["cl"].result_count == 1


def test_its_page_says_everything_and_what_ends_it(frozen: Alert) -> None:
    """WeChat's own words too; the button is for those who may send."""
    address = page("alert", "change", frozen.pk)
    shown = text(browser(*SEE).get(address))
    assert "Sign in to mp.weixin.qq.com" in shown
    assert "account frozen rid: 1-2-3" in shown
    again = page("sendlog", "try_again", "default")
    assert again not in shown
    assert again in text(browser(*SEE, "send_notification", name="other").get(address))


def test_the_page_of_a_stopped_template_leads_to_it() -> None:
    """And to the page that lets it go on."""
    template = make_template(paused_at=timezone.now(), pause_errcode=43116)
    (alert,) = look().opened
    client = browser(*SEE, "send_notification")
    shown = text(client.get(page("alert", "change", alert.pk)))
    assert page("messagetemplate", "change", template.pk) in shown
    assert page("messagetemplate", "resume", template.pk) in shown
    assert "until somebody resumes it" in shown
    resume_template(template)
    look()
    shown = text(client.get(page("alert", "change", alert.pk)))
    assert "WeChat has banned this template." in shown
    assert page("messagetemplate", "resume", template.pk) not in shown
    assert "until somebody resumes it" not in shown


def test_its_page_says_who_was_told() -> None:
    """By name, what was sent, and what could not be."""
    for name in ("alice", "bob"):
        user = make_user(name, email=f"{name}@school.example")
        user.user_permissions.add(Permission.objects.get(codename="receive_alerts"))
    make_template(paused_at=timezone.now(), pause_errcode=43116)
    begin()
    assert len(mail.outbox) == 2
    failed = {"sent_at": None, "error": "SMTPDataError: mailbox full"}
    AlertMail.objects.filter(user__username="bob").update(**failed)
    shown = text(browser(*SEE).get(page("alert", "change", Alert.objects.get().pk)))
    assert "alice · that it began · sent at" in shown
    assert "bob · that it began · could not be sent. SMTPDataError: mailbox full" in shown
    assert "@school.example" not in shown


def test_its_page_says_when_nobody_is_told(frozen: Alert) -> None:
    """And what to do about it."""
    shown = text(browser(*SEE).get(page("alert", "change", frozen.pk)))
    assert "needs the permission “Can receive alerts by e-mail”" in shown


@pytest.mark.parametrize("name", ["add", "change", "delete"])
def test_nobody_writes_alerts_by_hand(frozen: Alert, name: str) -> None:
    """Not even a superuser."""
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    args = () if name == "add" else (frozen.pk,)
    response = client.post(page("alert", name, *args), {"post": "yes", "detail": "nothing"})
    assert response.status_code == 403
    frozen.refresh_from_db()
    assert frozen.is_open


def test_doctor_names_open_alerts_and_mail_that_failed() -> None:
    """A problem of the mail server's is one of its own."""
    user = make_user("alice", email="alice@school.example")
    user.user_permissions.add(Permission.objects.get(codename="receive_alerts"))
    make_template(paused_at=timezone.now(), pause_errcode=43116)
    begin()
    said, before = ask("--account=default")
    assert "WeChat has stopped the template order_paid" in said
    assert "Alerts: 1 person is told by e-mail." in said
    AlertMail.objects.update(sent_at=None, due_at=None, error="OSError: refused")
    said, problems = ask("--account=default")
    assert "Alerts: 1 e-mail could not be sent. OSError: refused" in said
    assert problems == before + 1
    assert "Alerts: nobody is told by e-mail." not in said


def test_doctor_says_that_nobody_is_told() -> None:
    """A note, and how to choose somebody."""
    make_template()
    said, _problems = ask("--account=default")
    assert "Alerts: nobody is told by e-mail." in said
    assert "receive_alerts" in said
