"""Resending from a notification's page to those for whom one cause is mended."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.admin_pages import RESEND, SEE, browser, page, staff, text, told
from tests.factories import ORDER, make_bindings, make_template, make_user, openid
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.services import bind, notify

pytestmark = pytest.mark.django_db

NOT_BOUND = "This user has not bound WeChat."
OFFER = re.compile(r'<a href="([^"]+)">Resend it to the (\d+) (?:person|people) who can get it now')


@pytest.fixture
def notification(template: MessageTemplate) -> Notification:
    """To five people: two have not bound WeChat, two turned out not to follow, one is done."""
    late = [make_user("late"), make_user("later")]
    bindings = make_bindings(3)
    made = notify([*late, *[binding.user for binding in bindings]], template, ORDER)
    done, *gone = made.logs.filter(status="pending").order_by("pk")
    SendLog.objects.filter(pk=done.pk).update(status="delivered", errcode=0, due_at=None)
    for log in gone:
        SendLog.objects.filter(pk=log.pk).update(status="failed", errcode=43004, due_at=None)
        OpenIDBinding.objects.filter(pk=log.binding_id).update(subscribed=False)
    return made


def offers(client: Client, notification: Notification) -> dict[str, int]:
    """Where to resend, and to how many, as the table of causes offers it."""
    shown = text(client.get(page("notification", "change", notification.pk)))
    return {html.unescape(address): int(n) for address, n in OFFER.findall(shown)}


def bound_since(number: int = 9) -> Any:
    user = SendLog.objects.filter(status="skipped").order_by("pk").first().user  # type: ignore[union-attr]
    bind(user, openid(number))
    return user


def test_each_cause_is_offered_once_somebody_can_get_it(notification: Notification) -> None:
    """With the number of those who can; a cause that is not mended offers nothing."""
    client = browser(*SEE, *RESEND)
    assert offers(client, notification) == {}
    bound_since()
    ((address, number),) = offers(client, notification).items()
    assert number == 1
    asked = client.get(address)
    said = text(asked)
    assert "1 message will be sent again." in said
    assert "Of 2 messages that did not arrive, 1 can arrive now." in said
    (left,) = asked.context["confirmation"].left_out
    assert (str(left.reason), left.count, len(left.named)) == (NOT_BOUND, 1, 1)


def test_only_these_are_resent_and_only_once(notification: Notification) -> None:
    """The answer writes a row for each of them and for nobody else; then nothing is offered."""
    client = browser(*SEE, *RESEND)
    user = bound_since()
    (address,) = offers(client, notification)
    once = client.get(address).context["once"]
    response = client.post(address, {"post": "yes", "once": once}, follow=True)
    assert "1 message was resent (waiting: 1)" in told(response)
    new = Notification.objects.get(source="resend").logs.get()
    assert (new.user, new.openid, new.status) == (user, openid(9), "pending")
    assert offers(client, notification) == {}
    assert "1 was resent before." in text(response)
    assert "Nobody would get this message." in text(client.get(address))
    client.post(address, {"post": "yes", "once": "0" * 32})
    assert Notification.objects.count() == 2


def test_two_causes_and_all_of_them(notification: Notification) -> None:
    """Each by itself, and one button for both."""
    client = browser(*SEE, *RESEND)
    bound_since()
    OpenIDBinding.objects.update(subscribed=True)
    found = offers(client, notification)
    assert sorted(found.values()) == [1, 2]
    shown = text(client.get(page("notification", "change", notification.pk)))
    assert "Resend the 3 that can be resent" in shown
    for address, number in found.items():
        assert client.get(address).context["confirmation"].button.startswith(f"Resend {number} ")
    client.post(page("notification", "resend", notification.pk), {"post": "yes"})
    again = Notification.objects.get(source="resend")
    assert again.counts["pending"] == 3
    assert again.counts["skipped"] == 0


def test_a_cause_that_is_not_there(notification: Notification) -> None:
    """Nothing of an address reaches the database but what the notification has."""
    client = browser(*SEE, *RESEND)
    address = page("notification", "resend", notification.pk)
    for query in ({"status": "pending"}, {"status": "failed", "errcode": "1 OR 1"}, {"status": ""}):
        assert client.get(address, query).status_code == 404
        assert client.post(f"{address}?status=x", {"post": "yes"}).status_code == 404
    assert Notification.objects.count() == 1


def test_before_its_time_nothing_is_offered(notification: Notification) -> None:
    """Whoever has bound WeChat since would get it today, and everybody else tomorrow."""
    Notification.objects.update(send_at=timezone.now() + timedelta(days=1))
    SendLog.objects.filter(status="delivered").update(
        status="pending", due_at=timezone.now() + timedelta(days=1)
    )
    bound_since()
    client = browser(*SEE, *RESEND)
    shown = text(client.get(page("notification", "change", notification.pk)))
    assert "Scheduled" in shown
    assert OFFER.findall(shown) == []
    assert "that can be resent" not in shown


@pytest.mark.parametrize(
    "codenames", [SEE, (*SEE, "send_notification"), (*SEE, "resend_sendlog")], ids=len
)
def test_those_who_may_not_resend_get_no_offer(
    notification: Notification, codenames: tuple[str, ...]
) -> None:
    """The table is the same without it; the page behind it refuses them."""
    bound_since()
    (address,) = offers(browser(*SEE, *RESEND), notification)
    staff(*codenames)
    client = browser(*codenames)
    assert offers(client, notification) == {}
    assert NOT_BOUND in text(client.get(page("notification", "change", notification.pk)))
    assert client.get(address).status_code == 403
    assert client.post(address, {"post": "yes"}).status_code == 403
    assert Notification.objects.count() == 1


def test_a_stand_in_sends_for_a_template_that_is_gone(template: MessageTemplate) -> None:
    """WeChat has deleted it and somebody has chosen another: what is offered can be done."""
    made = notify(make_bindings(2), template, ORDER)
    made.logs.update(status="failed", errcode=40037, due_at=None)
    MessageTemplate.objects.filter(pk=template.pk).update(
        is_active=False, missing_since=timezone.now(), stand_in=make_template("spare")
    )
    client = browser(*SEE, *RESEND)
    ((address, number),) = offers(client, made).items()
    assert number == 2
    asked = client.get(address).context["confirmation"]
    assert (asked.button, asked.obstacle) == ("Resend 2 messages", "")
    client.post(address, {"post": "yes"})
    assert SendLog.objects.filter(resend_of__notification=made).count() == 2


def test_what_has_expired_is_resent_by_its_cause_alone(notification: Notification) -> None:
    """And the page warns: it was not to be sent later."""
    SendLog.objects.filter(status="delivered").update(status="expired", errcode=None)
    client = browser(*SEE, *RESEND)
    shown = text(client.get(page("notification", "change", notification.pk)))
    assert "that can be resent" not in shown
    (address,) = offers(client, notification)
    assert "1 has expired: it was not to be sent later." in text(client.get(address))


@pytest.mark.parametrize("mends", [False, True])
def test_the_list_narrowed_to_a_cause_resends_across_notifications(
    notification: Notification, mends: bool
) -> None:
    """The action on the send log takes what somebody has chosen there, of every notification, and
    says who would not get it."""
    notify(make_user("latest"), notification.template, ORDER)
    if mends:
        bound_since()
    client = browser(*SEE, *RESEND)
    address = f"{page('sendlog')}?status__exact=skipped&error=no&reason={NOT_BOUND}"
    row = SendLog.objects.filter(status="skipped").first()
    form = {"action": "resend", "select_across": 1, "_selected_action": [row.pk]}  # type: ignore[union-attr]
    asked = client.post(address, {**form, "index": 0})
    assert f"{int(mends)} message" in text(asked)
    (left,) = asked.context["confirmation"].left_out
    assert (str(left.reason), left.count) == (NOT_BOUND, 3 - mends)
    client.post(address, {**form, "post": "yes"})
    again = SendLog.objects.filter(notification__source="resend")
    assert again.values("notification").distinct().count() == 2
    assert (again.counts()["pending"], again.counts()["skipped"]) == (int(mends), 3 - mends)
