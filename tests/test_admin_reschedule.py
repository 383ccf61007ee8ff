"""The page that gives another time to what has not left yet."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin_pages import browser, page, text, told
from tests.factories import ORDER, make_bindings
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.services import cancel, notify, pause

pytestmark = pytest.mark.django_db

Status = SendLog.Status


@pytest.fixture
def planned(template: MessageTemplate) -> Notification:
    tomorrow = timezone.now() + timedelta(days=1)
    return notify(make_bindings(3), template, ORDER, send_at=tomorrow)


@pytest.fixture
def clerk() -> Client:
    return browser("view_notification", "send_notification")


def where(notification: Notification) -> str:
    return page("notification", "reschedule", notification.pk)


def local(moment: Any) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


def answer(client: Client, notification: Notification, **times: str) -> Any:
    return client.post(where(notification), {"post": "yes", **times}, follow=True)


def test_from_the_page_to_the_new_time(clerk: Client, planned: Notification) -> None:
    """The button, the times as they are, the answer: how many go out when."""
    assert where(planned) in text(clerk.get(page("notification", "change", planned.pk)))
    form = clerk.get(where(planned)).context["confirmation"].form
    assert f'value="{local(planned.send_at)}"' in str(form["send_at"])
    later = timezone.now() + timedelta(days=2)
    said = told(answer(clerk, planned, send_at=local(later)))
    assert said.startswith("3 messages go out after")
    planned.refresh_from_db()
    assert local(planned.send_at) == local(later)
    assert {local(due) for due in planned.logs.values_list("due_at", flat=True)} == {local(later)}


def test_an_empty_time_is_now(clerk: Client, planned: Notification) -> None:
    """It says so, and they are due."""
    assert "3 messages go out now" in told(answer(clerk, planned, send_at=""))
    assert planned.logs.filter(due_at__lte=timezone.now()).count() == 3


def test_what_is_wrong_is_told_and_changes_nothing(clerk: Client, planned: Notification) -> None:
    """A time that has passed, and an expiry before the sending, beside their inputs."""
    before = list(planned.logs.order_by("pk").values())
    past, soon = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1)
    later = timezone.now() + timedelta(hours=2)
    for times, problem in (
        ({"send_at": local(past)}, "has passed"),
        ({"send_at": local(later), "expires_at": local(soon)}, "before it would be sent"),
        ({"send_at": "soon"}, "valid date"),
    ):
        assert problem in text(answer(clerk, planned, **times))
    assert list(planned.logs.order_by("pk").values()) == before


def test_no_button_where_nothing_waits(clerk: Client, planned: Notification) -> None:
    """And the page leads back."""
    cancel(planned)
    assert where(planned) not in text(clerk.get(page("notification", "change", planned.pk)))
    assert "nothing to do" in told(answer(clerk, planned, send_at=""))


def test_all_leave_while_it_is_asked(
    clerk: Client, planned: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service says that nothing waits, and the page passes it on."""
    from wechat_notify.admin.pages import rescheduling

    monkeypatch.setattr(rescheduling, "_waiting", lambda notification: 1)
    planned.logs.update(status=Status.SENT, due_at=None)
    assert "still waits" in told(answer(clerk, planned, send_at=""))


def test_a_paused_one_says_so(clerk: Client, planned: Notification) -> None:
    """The new time alone does not let it go."""
    pause(planned)
    assert "It is paused" in text(clerk.get(where(planned)))
