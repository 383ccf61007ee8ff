"""Every page and action of the admin: anonymous, staff without the permission, staff with it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests.admin_pages import SEE, browser, page, resend_form
from tests.factories import ORDER, make_binding
from wechat_notify.backends.locmem import outbox
from wechat_notify.delivery.breaker import Breaker
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


class Rows(NamedTuple):
    """One of everything: a failed message, one that waits, a paused template, a resting account."""

    template: MessageTemplate
    binding: OpenIDBinding
    notification: Notification
    failed: SendLog


@pytest.fixture
def rows(template: MessageTemplate) -> Rows:
    first, second = make_binding(number=1), make_binding(number=2)
    notification = notify([first, second], template, ORDER)
    failed = notification.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=failed.pk).update(status="failed", errcode=43004, due_at=None)
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    Breaker("default").trip(45009, "reach max api daily quota limit")
    return Rows(template, first, notification, failed)


def snapshot() -> list[Any]:
    """Everything that an admin page could change."""
    models = (MessageTemplate, OpenIDBinding, Notification, SendLog, LogEntry)
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
    ("templates", "view_messagetemplate", lambda rows: page("messagetemplate")),
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
]

VERBS: list[tuple[str, str, Callable[[Rows], str]]] = [
    ("resend", "resend_sendlog", lambda rows: page("sendlog", "resend", rows.failed.pk)),
    (
        "pause",
        "send_notification",
        lambda rows: page("notification", "pause", rows.notification.pk),
    ),
    (
        "cancel",
        "send_notification",
        lambda rows: page("notification", "cancel", rows.notification.pk),
    ),
    (
        "resume template",
        "send_notification",
        lambda rows: page("messagetemplate", "resume", rows.template.pk),
    ),
    ("sync", "sync_messagetemplate", lambda rows: page("messagetemplate", "sync")),
    *(
        (
            f"try again on {model}",
            "send_notification",
            lambda rows, model=model: page(model, "try_again", "default"),  # type: ignore[misc]
        )
        for model in ("sendlog", "notification", "messagetemplate")
    ),
]

page_cases = pytest.mark.parametrize(
    ("permission", "address"), [case[1:] for case in PAGES], ids=[case[0] for case in PAGES]
)
verb_cases = pytest.mark.parametrize(
    ("permission", "address"), [case[1:] for case in VERBS], ids=[case[0] for case in VERBS]
)

Address = Callable[[Rows], str]


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


@verb_cases
def test_a_verb_sends_strangers_to_the_login(rows: Rows, permission: str, address: Address) -> None:
    """Without a login nothing is asked and nothing is done."""
    before = snapshot()
    for send in (Client().get, Client().post):
        response = send(address(rows), {"post": "yes", "account": "default"})
        assert response.status_code == 302
        assert "/login/" in response.url
    assert snapshot() == before


@verb_cases
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_verb_needs_its_permission(
    rows: Rows, permission: str, address: Address, method: str
) -> None:
    """Staff that may see everything and has every other permission is refused."""
    every = {"send_notification", "resend_sendlog", "sync_messagetemplate"}
    client = browser(*SEE, *(every - {permission}))
    before = snapshot()
    response = getattr(client, method)(address(rows), {"post": "yes", "account": "default"})
    assert response.status_code == 403
    assert snapshot() == before


@verb_cases
def test_a_verb_needs_sight_of_the_object(rows: Rows, permission: str, address: Address) -> None:
    """The permission to act is not enough for staff that may not see what it acts on."""
    before = snapshot()
    response = browser(permission).post(address(rows), {"post": "yes", "account": "default"})
    assert response.status_code == 403
    assert snapshot() == before


@verb_cases
def test_a_verb_asks_first(rows: Rows, permission: str, address: Address) -> None:
    """A GET, and a POST that is no answer to the question, show the question and do nothing."""
    client = browser(*SEE, permission)
    before = snapshot()
    for response in (client.get(address(rows)), client.post(address(rows))):
        assert response.status_code == 200
        assert 'name="post" value="yes"' in response.content.decode()
    assert client.get(address(rows), {"post": "yes"}).status_code == 200
    assert snapshot() == before


@verb_cases
def test_a_verb_is_carried_out_and_entered_in_the_log(
    wechat: Sandbox, rows: Rows, permission: str, address: Address
) -> None:
    """The answer yes changes something, and the admin's log says who did it."""
    client = browser(*SEE, permission)
    before = snapshot()
    response = client.post(address(rows), {"post": "yes", "account": "default"})
    assert response.status_code == 302
    assert snapshot() != before
    assert set(LogEntry.objects.values_list("user__username", flat=True)) == {"clerk"}


@verb_cases
def test_a_verb_needs_the_csrf_token(rows: Rows, permission: str, address: Address) -> None:
    """A form on somebody else's site cannot do it in a logged-in browser."""
    client = browser(*SEE, permission)
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
    """Staff that may only look sees no such action, and a forged POST of it does nothing."""
    client = browser(*SEE)
    assert 'value="resend"' not in client.get(page("sendlog")).content.decode()
    before = snapshot()
    client.post(page("sendlog"), resend_form(rows.failed, post="yes"))
    assert snapshot() == before


def test_resending_from_the_list_asks_first(rows: Rows) -> None:
    """Choosing the action shows the question; a GET with the same words shows only the list."""
    client = browser(*SEE, "resend_sendlog")
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
