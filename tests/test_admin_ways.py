"""Wherever a page says that messages wait, a button leads to what lets them go on."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin_pages import RESEND, SEE, browser, page, text
from tests.compose_pages import CONTENT, VALUES, composer, filled, review
from tests.factories import make_binding, make_template
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import notify, pause

pytestmark = pytest.mark.django_db

SEND = "send_notification"


@pytest.fixture
def waiting(settings: Any) -> Notification:
    """A notification whose only message waits: it, its template and its account have paused."""
    settings.ROOT_URLCONF = "tests.compose_site"
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
    }
    data = {name.removeprefix("value_"): value for name, value in VALUES.items()}
    notification = notify(make_binding(), make_template(content=CONTENT), data)
    pause(notification)
    MessageTemplate.objects.update(paused_at=timezone.now())
    Breaker("default").trip(45009, "reach max api daily quota limit")
    return Notification.objects.get(pk=notification.pk)


def ways(notification: Notification) -> list[str]:
    """The pages that let its messages go on."""
    return [
        page("notification", "resume", notification.pk),
        page("messagetemplate", "resume", notification.template_id),
        page("sendlog", "try_again", "default"),
    ]


def where(notification: Notification) -> list[str]:
    """The pages that say why its message waits."""
    log = notification.logs.get()
    return [
        page("notification", "change", notification.pk),
        page("notification", "progress", notification.pk),
        page("sendlog", "change", log.pk),
    ]


def test_a_notification_and_its_message_offer_all_ways(waiting: Notification) -> None:
    """Each stands beside the sentence that makes one ask for it."""
    client = browser(*SEE, SEND)
    for address in where(waiting):
        shown = text(client.get(address))
        assert [way for way in ways(waiting) if way not in shown] == [], address


def test_who_may_not_send_is_offered_none(waiting: Notification) -> None:
    """The reasons are there; the buttons would only lead to a refusal."""
    client = browser(*SEE)
    for address in where(waiting):
        shown = text(client.get(address))
        assert [way for way in ways(waiting) if way in shown] == [], address


def test_who_may_not_see_a_page_is_not_led_there(waiting: Notification) -> None:
    """Without the permission to see templates there is no button that resumes one."""
    client = browser("view_notification", SEND)
    shown = text(client.get(page("notification", "change", waiting.pk)))
    own, of_template, of_account = ways(waiting)
    assert own in shown
    assert of_template not in shown
    assert of_account not in shown
    assert page("notification", "try_again", "default") in shown


def test_a_message_that_waits_for_nothing_offers_nothing(waiting: Notification) -> None:
    """What was sent does not care who rests now."""
    SendLog.objects.update(status="sent")
    client = browser(*SEE, SEND)
    for address in where(waiting):
        shown = text(client.get(address))
        assert ways(waiting)[2] not in shown, address


def test_the_dashboard_offers_them(waiting: Notification) -> None:
    """For the account, and for each paused template."""
    _own, *others = ways(waiting)
    shown = text(browser(*SEE, SEND).get(page("sendlog", "dashboard")))
    assert [way for way in others if way not in shown] == []
    shown = text(browser(*SEE).get(page("sendlog", "dashboard")))
    assert [way for way in others if way in shown] == []


def test_reviewing_and_resending_offer_them(waiting: Notification) -> None:
    """Before a message is sent that would only wait."""
    SendLog.objects.update(status="failed", errcode=-1, due_at=None)
    _own, *others = ways(waiting)
    client = browser(*SEE, *RESEND)
    for address in (
        page("sendlog", "resend", waiting.logs.get().pk),
        page("notification", "resend", waiting.pk),
    ):
        shown = text(client.get(address))
        assert [way for way in others if way not in shown] == [], address
    user = waiting.logs.get().user
    shown = text(review(composer(*SEE), filled(waiting.template, user)))
    assert [way for way in others if way not in shown] == []


def test_the_list_of_templates_offers_it_beside_the_state(waiting: Notification) -> None:
    """And asks the database no more for it."""
    _own, resume, _account = ways(waiting)
    client = browser(*SEE, SEND)
    assert resume in text(client.get(page("messagetemplate")))
    with CaptureQueriesContext(connection) as one:
        client.get(page("messagetemplate"))
    make_template("another", paused_at=timezone.now())
    with CaptureQueriesContext(connection) as two:
        client.get(page("messagetemplate"))
    assert len(two) == len(one)
    assert resume not in text(browser(*SEE, name="other").get(page("messagetemplate")))


def test_choosing_a_template_offers_it_beside_the_warning(waiting: Notification) -> None:
    """For those who may see templates."""
    address = page("notification", "compose")
    assert ways(waiting)[1] in text(composer(*SEE).get(address))
    assert ways(waiting)[1] not in text(composer("view_notification", name="other").get(address))


def test_the_gallery_uses_and_resumes(waiting: Notification) -> None:
    """A template that was found by its card is one press from being used."""
    use = f"{page('notification', 'compose')}?template={waiting.template_id}"
    address = page("messagetemplate", "gallery")
    shown = text(composer(*SEE).get(address))
    assert use in shown
    assert ways(waiting)[1] in shown
    MessageTemplate.objects.update(is_active=False)
    assert use not in text(composer(*SEE).get(address))
    assert use not in text(browser(*SEE, name="other").get(address))
