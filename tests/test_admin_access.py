"""Every page and action of the admin: anonymous, staff without the permission, staff with it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from tests.admin_pages import ACTION, RESEND, SEE, browser, page, resend_form, text
from tests.factories import ORDER, make_bindings, make_template
from wechat_notify.alerts.comparing import look
from wechat_notify.backends.locmem import outbox
from wechat_notify.models import (
    Alert,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


class Rows(NamedTuple):
    """One of everything: a failed message, one that waits, a paused template, a resting account."""

    template: MessageTemplate
    binding: OpenIDBinding
    saved: RecipientFilter
    notification: Notification
    failed: SendLog
    alert: Alert


@pytest.fixture
def rows(template: MessageTemplate) -> Rows:
    first, second, third = make_bindings(3)
    notification = notify([first, second, third], template, ORDER)
    failed, transient = notification.logs.order_by("pk")[:2]
    SendLog.objects.filter(pk=failed.pk).update(
        status="failed", errcode=43004, rid="1-2-3", due_at=None
    )
    SendLog.objects.filter(pk=transient.pk).update(status="failed", errcode=-1, due_at=None)
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    Breaker("default").trip(45009, "reach max api daily quota limit")
    saved = RecipientFilter.objects.create(
        account="default", name="all", criteria={"everyone": True}
    )
    alert = look().opened[0]
    return Rows(template, first, saved, notification, failed, alert)


def snapshot() -> list[Any]:
    """Everything that an admin page could change."""
    models = (
        MessageTemplate,
        OpenIDBinding,
        RecipientFilter,
        Notification,
        SendLog,
        Alert,
        LogEntry,
    )
    rests = [Breaker(alias).rest() for alias in ("default", "other")]
    return [list(model.objects.order_by("pk").values()) for model in models] + [
        rests,
        list(outbox),
    ]


PAGES: list[tuple[str, str, Callable[[Rows], str]]] = [
    ("send log", "view_sendlog", lambda rows: page("sendlog")),
    ("message", "view_sendlog", lambda rows: page("sendlog", "change", rows.failed.pk)),
    ("notifications", "view_notification", lambda rows: page("notification")),
    (
        "notification",
        "view_notification",
        lambda rows: page("notification", "change", rows.notification.pk),
    ),
    (
        "progress",
        "view_notification",
        lambda rows: page("notification", "progress", rows.notification.pk),
    ),
    ("dashboard", "view_sendlog", lambda rows: page("sendlog", "dashboard")),
    ("quota", "view_sendlog", lambda rows: page("sendlog", "quota")),
    ("templates", "view_messagetemplate", lambda rows: page("messagetemplate")),
    ("gallery", "view_messagetemplate", lambda rows: page("messagetemplate", "gallery")),
    (
        "template",
        "view_messagetemplate",
        lambda rows: page("messagetemplate", "change", rows.template.pk),
    ),
    ("bindings", "view_openidbinding", lambda rows: page("openidbinding")),
    (
        "binding",
        "view_openidbinding",
        lambda rows: page("openidbinding", "change", rows.binding.pk),
    ),
    ("poster", "view_openidbinding", lambda rows: page("openidbinding", "poster")),
    ("saved recipients", "view_recipientfilter", lambda rows: page("recipientfilter")),
    (
        "saved recipients of one name",
        "view_recipientfilter",
        lambda rows: page("recipientfilter", "change", rows.saved.pk),
    ),
    ("alerts", "view_alert", lambda rows: page("alert")),
    ("alert", "view_alert", lambda rows: page("alert", "change", rows.alert.pk)),
]

VERBS: list[tuple[str, tuple[str, ...], Callable[[Rows], str]]] = [
    ("resend", RESEND, lambda rows: page("sendlog", "resend", rows.failed.pk)),
    (
        "resend what can be resent",
        RESEND,
        lambda rows: page("notification", "resend", rows.notification.pk),
    ),
    (
        "pause",
        ("send_notification",),
        lambda rows: page("notification", "pause", rows.notification.pk),
    ),
    (
        "cancel",
        ("send_notification",),
        lambda rows: page("notification", "cancel", rows.notification.pk),
    ),
    (
        "resume template",
        ("send_notification",),
        lambda rows: page("messagetemplate", "resume", rows.template.pk),
    ),
    (
        "reschedule",
        ("send_notification",),
        lambda rows: page("notification", "reschedule", rows.notification.pk),
    ),
    ("sync", ("sync_messagetemplate",), lambda rows: page("messagetemplate", "sync")),
    *(
        (
            f"try again on {model}",
            ("send_notification",),
            lambda rows, model=model: page(model, "try_again", "default"),  # type: ignore[misc]
        )
        for model in ("sendlog", "notification", "messagetemplate")
    ),
]

page_cases = pytest.mark.parametrize(
    ("permission", "address"), [case[1:] for case in PAGES], ids=[case[0] for case in PAGES]
)
EXPLAIN = (
    "explain",
    ("resend_sendlog",),
    lambda rows: page("sendlog", "explain", rows.failed.pk),
)
QUESTIONS = [*VERBS, EXPLAIN]

verb_cases = pytest.mark.parametrize(
    ("permissions", "address"), [case[1:] for case in VERBS], ids=[case[0] for case in VERBS]
)
question_cases = pytest.mark.parametrize(
    ("permissions", "address"),
    [case[1:] for case in QUESTIONS],
    ids=[case[0] for case in QUESTIONS],
)

Address = Callable[[Rows], str]
Permissions = tuple[str, ...]


@page_cases
def test_a_page_sends_strangers_to_the_login(rows: Rows, permission: str, address: Address) -> None:
    """Without a login no page of the app is shown."""
    response = Client().get(address(rows))
    assert response.status_code == 302
    assert "/login/" in response.url


@page_cases
def test_a_page_needs_its_permission(rows: Rows, permission: str, address: Address) -> None:
    """Staff with every other view permission is refused; with the right one it is shown."""
    others = [codename for codename in SEE if codename != permission]
    assert browser(*others, name="other").get(address(rows)).status_code == 403
    assert browser(permission).get(address(rows)).status_code == 200


@page_cases
def test_looking_changes_nothing(rows: Rows, permission: str, address: Address) -> None:
    """A GET with every permission leaves everything as it was."""
    client = browser(*SEE, "send_notification", "resend_sendlog", "sync_messagetemplate")
    before = snapshot()
    assert client.get(address(rows)).status_code == 200
    assert snapshot() == before


@question_cases
def test_a_verb_sends_strangers_to_the_login(
    rows: Rows, permissions: Permissions, address: Address
) -> None:
    """Without a login nothing is asked and nothing is done."""
    before = snapshot()
    for send in (Client().get, Client().post):
        response = send(address(rows), {"post": "yes", "account": "default"})
        assert response.status_code == 302
        assert "/login/" in response.url
    assert snapshot() == before


@question_cases
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_verb_needs_its_permission(
    rows: Rows, permissions: Permissions, address: Address, method: str
) -> None:
    """Staff that may see everything is refused, whichever one permission it lacks."""
    every = {"send_notification", "resend_sendlog", "sync_messagetemplate"}
    before = snapshot()
    for missing in permissions:
        client = browser(*SEE, *(every - {missing}))
        response = getattr(client, method)(address(rows), {"post": "yes", "account": "default"})
        assert response.status_code == 403
        assert snapshot() == before


@question_cases
def test_a_verb_needs_sight_of_the_object(
    rows: Rows, permissions: Permissions, address: Address
) -> None:
    """The permission to act is not enough for staff that may not see what it acts on."""
    before = snapshot()
    response = browser(*permissions).post(address(rows), {"post": "yes", "account": "default"})
    assert response.status_code == 403
    assert snapshot() == before


@question_cases
def test_a_verb_asks_first(rows: Rows, permissions: Permissions, address: Address) -> None:
    """A GET, and a POST that is no answer to the question, show the question and do nothing."""
    client = browser(*SEE, *permissions)
    before = snapshot()
    for response in (client.get(address(rows)), client.post(address(rows))):
        assert response.status_code == 200
        assert 'name="post" value="yes"' in response.content.decode()
    assert client.get(address(rows), {"post": "yes"}).status_code == 200
    assert snapshot() == before


@verb_cases
def test_a_verb_is_carried_out_and_entered_in_the_log(
    wechat: Sandbox, rows: Rows, permissions: Permissions, address: Address
) -> None:
    """The answer yes changes something, and the admin's log says who did it."""
    client = browser(*SEE, *permissions)
    before = snapshot()
    response = client.post(address(rows), {"post": "yes", "account": "default"})
    assert response.status_code == 302
    assert snapshot() != before
    assert set(LogEntry.objects.values_list("user__username", flat=True)) == {"clerk"}


@question_cases
def test_a_verb_needs_the_csrf_token(
    rows: Rows, permissions: Permissions, address: Address
) -> None:
    """A form on somebody else's site cannot do it in a logged-in browser."""
    client = browser(*SEE, *permissions)
    client.handler.enforce_csrf_checks = True
    before = snapshot()
    assert client.post(address(rows), {"post": "yes", "account": "default"}).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_a_verb_on_what_does_not_exist_is_not_found(rows: Rows, verb: str) -> None:
    """A number that no notification has is a 404, not a crash."""
    client = browser(*SEE, "send_notification")
    assert client.post(page("notification", verb, 999), {"post": "yes"}).status_code == 404


def test_resending_from_the_list_needs_its_permission(rows: Rows) -> None:
    """Staff that may only look, or may not send, sees no such action nor any other way to it, and
    a forged POST of it does nothing."""
    before = snapshot()
    for codenames in ((), *((codename,) for codename in RESEND)):
        client = browser(*SEE, *codenames)
        assert 'value="resend"' not in text(client.get(page("sendlog")))
        for model, row in (("sendlog", rows.failed), ("notification", rows.notification)):
            assert page(model, "resend", row.pk) not in text(
                client.get(page(model, "change", row.pk))
            )
        client.post(page("sendlog"), resend_form(rows.failed, post="yes"))
        assert snapshot() == before


def test_resending_from_the_list_asks_first(rows: Rows) -> None:
    """Choosing the action shows the question; a GET with the same words shows only the list."""
    client = browser(*SEE, *RESEND)
    before = snapshot()
    asked = client.post(page("sendlog"), resend_form(rows.failed, index=0))
    assert 'name="post" value="yes"' in asked.content.decode()
    # As a list filter these words mean nothing, and Django drops them by a redirect.
    assert client.get(page("sendlog"), resend_form(rows.failed, post="yes")).status_code == 302
    assert snapshot() == before


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("sendlog", "add"),
        ("notification", "add"),
        ("sendlog", "delete"),
        ("notification", "delete"),
    ],
)
def test_history_cannot_be_written_by_hand(rows: Rows, model: str, name: str) -> None:
    """Even with Django's own permissions nobody adds or deletes messages or notifications."""
    client = browser(f"view_{model}", f"{name}_{model}", f"change_{model}")
    row = rows.failed if model == "sendlog" else rows.notification
    args = () if name == "add" else (row.pk,)
    before = snapshot()
    assert client.get(page(model, name, *args)).status_code == 403
    assert client.post(page(model, name, *args), {"post": "yes"}).status_code == 403
    assert client.post(page(model, "change", row.pk), {"status": "sent"}).status_code == 403
    assert snapshot() == before


# -- accounts ---------------------------------------------------------------------------------


@pytest.fixture
def only_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that lets everybody work with the account "other" alone."""

    def allowed(request: HttpRequest, account: str) -> bool:
        return account == "other"

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)


EVERYTHING = (
    *SEE,
    "send_notification",
    "resend_sendlog",
    "sync_messagetemplate",
    "change_openidbinding",
    "view_openid",
)
OBJECTS = {
    "message",
    "notification",
    "template",
    "binding",
    "saved recipients of one name",
    "alert",
}
OBJECT_PAGES = [
    *(case for case in PAGES if case[0] in OBJECTS),
    *(case for case in PAGES if case[0] == "progress"),
    *(case for case in QUESTIONS if case[0] != "sync"),
    ("csv", "", lambda rows: page("notification", "csv", rows.notification.pk)),
    *(
        (f"history of {model}", "", lambda rows, model=model: page(model, "history", 1))
        for model in ("messagetemplate",)
    ),
]


@pytest.mark.parametrize(
    "address", [case[2] for case in OBJECT_PAGES], ids=[case[0] for case in OBJECT_PAGES]
)
def test_a_row_of_another_account_does_not_exist(
    rows: Rows, only_other: None, address: Address
) -> None:
    """Neither its page nor anything that can be done to it is found, with every permission."""
    client = browser(*EVERYTHING)
    before = snapshot()
    for response in (client.get(address(rows)), client.post(address(rows), {"post": "yes"})):
        # Django's own pages lead back to the index, and say there that it does not exist.
        assert response.status_code in {302, 403, 404}
    assert snapshot() == before


@pytest.mark.parametrize(
    "model",
    ["sendlog", "notification", "messagetemplate", "openidbinding", "recipientfilter", "alert"],
)
def test_lists_show_the_allowed_accounts_alone(rows: Rows, only_other: None, model: str) -> None:
    """No row, no filter, no banner and no title of another account."""
    make_template("elsewhere", account="other", title="缴费提醒")
    client = browser(*EVERYTHING)
    response = client.get(page(model))
    assert response.context["cl"].result_count == (1 if model == "messagetemplate" else 0)
    shown = text(response)
    assert rows.template.title not in shown
    assert "Account default rests" not in shown
    assert "account=default" not in shown
    narrowed = client.get(page("sendlog"), {"notification": rows.notification.pk})
    assert str(rows.notification) not in text(narrowed)


def test_the_dashboard_and_the_gallery_show_the_allowed_accounts_alone(
    rows: Rows, only_other: None
) -> None:
    """Nor does what was counted for somebody else reach those who may not see it."""
    client = browser(*EVERYTHING)
    dashboard = client.get(page("sendlog", "dashboard"))
    assert dashboard.context["overview"].total == {}
    gallery = text(client.get(page("messagetemplate", "gallery")))
    for shown in (text(dashboard), gallery):
        assert rows.template.title not in shown
        assert "Account default rests" not in shown
    assert ">default<" not in client.get(page("sendlog", "quota")).json()["html"]


def test_another_account_is_not_synced(rows: Rows, only_other: None) -> None:
    """The form does not offer it and refuses its alias."""
    client = browser(*EVERYTHING)
    address = page("messagetemplate", "sync")
    assert 'value="default"' not in text(client.get(address))
    before = snapshot()
    refused = text(client.post(address, {"post": "yes", "account": "default"}))
    assert "not one of the available choices" in refused
    assert snapshot() == before


@pytest.mark.parametrize(("model", "action"), [("sendlog", "resend"), ("openidbinding", "recheck")])
def test_actions_do_not_reach_rows_of_another_account(
    rows: Rows, only_other: None, model: str, action: str
) -> None:
    """A forged list of rows is narrowed like the page itself."""
    before = snapshot()
    chosen = {"action": action, "post": "yes", ACTION: [rows.failed.pk, rows.binding.pk]}
    browser(*EVERYTHING).post(page(model), chosen)
    assert snapshot()[:-2] == before[:-2]


def test_the_csv_file_needs_sight_of_both(rows: Rows) -> None:
    """It is the send log of one notification."""
    address = page("notification", "csv", rows.notification.pk)
    assert Client().get(address).status_code == 302
    for codename in ("view_notification", "view_sendlog"):
        assert browser(codename).get(address).status_code == 403
    assert browser("view_notification", "view_sendlog").get(address).status_code == 200


def test_the_apps_index_needs_a_permission(rows: Rows) -> None:
    """Staff without any permission of the app finds nothing there."""
    assert browser().get("/admin/wechat_notify/").status_code == 404
