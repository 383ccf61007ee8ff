"""Notifications in the admin: how far each got, and stopping what still waits."""

from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import SEE, browser, page, text, told
from tests.factories import ORDER, make_binding, make_bindings, make_template
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


@pytest.fixture
def notification(template: MessageTemplate) -> Notification:
    """Three messages: one failed, two waiting."""
    made = notify(make_bindings(3), template, ORDER)
    first = made.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=first.pk).update(status="failed", errcode=43004, due_at=None)
    return made


def detail(notification: Notification) -> str:
    client = browser("view_notification", "send_notification")
    return text(client.get(page("notification", "change", notification.pk)))


def carry_out(notification: Notification, verb: str) -> str:
    """What the page tells after the answer yes."""
    client = browser(*SEE, "send_notification")
    address = page("notification", verb, notification.pk)
    return told(client.post(address, {"post": "yes"}, follow=True))


def test_the_page_counts_by_status_and_links_to_the_rows(notification: Notification) -> None:
    """A bar, a number for each status that occurs, and a link to just these messages."""
    shown = detail(notification)
    listed = page("sendlog")
    assert f'href="{listed}?notification={notification.pk}&amp;status__exact=failed"' in shown
    assert f'href="{listed}?notification={notification.pk}"' in shown
    assert "3 recipients" in shown
    assert 'width="33.333"' in shown
    assert 'width="66.667"' in shown
    client = browser("view_sendlog")
    for status, count in (("failed", 1), ("pending", 2)):
        filters = {"notification": notification.pk, "status__exact": status}
        assert client.get(listed, filters).context["cl"].result_count == count


def test_nobody_to_write_to(template: MessageTemplate) -> None:
    """A notification without recipients says so, on its page and in the list."""
    empty = notify([], template, ORDER)
    assert "no recipients" in detail(empty)
    assert "no recipients" in text(browser("view_notification").get(page("notification")))


def test_the_page_shows_the_card_and_the_data(notification: Notification) -> None:
    """The shared values are there as people see them."""
    shown = detail(notification)
    assert '<article class="wechat-card">' in shown
    assert "character_string1" not in shown


def test_data_of_each_recipient_is_left_to_the_send_log(template: MessageTemplate) -> None:
    """Where everybody gets another text there is no one card to show."""
    made = notify(make_binding(), template, lambda user: ORDER)
    shown = detail(made)
    assert "It differs for each recipient" in shown
    assert "wechat-card" not in shown.split('id="content-main"')[1]


def test_cancel_calls_off_what_waits(notification: Notification) -> None:
    """Waiting messages are cancelled, finished ones stay, and the button is gone."""
    assert page("notification", "cancel", notification.pk) in detail(notification)
    assert carry_out(notification, "cancel") == "2 messages were cancelled."
    assert notification.counts["cancelled"] == 2
    assert notification.counts["failed"] == 1
    assert page("notification", "cancel", notification.pk) not in detail(notification)


def test_pause_and_resume(notification: Notification) -> None:
    """Pausing holds what waits; resuming lets it go; each button is there when it makes sense."""
    resume, hold = (page("notification", verb, notification.pk) for verb in ("resume", "pause"))
    shown = detail(notification)
    assert hold in shown
    assert resume not in shown
    assert carry_out(notification, "pause") == "2 messages are held."
    shown = detail(notification)
    assert hold not in shown
    assert resume in shown
    assert "Paused" in shown
    assert carry_out(notification, "resume") == "2 messages go on."
    notification.refresh_from_db()
    assert notification.paused_at is None


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_a_verb_with_nothing_to_do(template: MessageTemplate, verb: str) -> None:
    """Two people press the same button: the second is told that there is nothing left to do."""
    empty = notify([], template, ORDER)
    assert carry_out(empty, verb) == "There is nothing to do here."


def test_a_wrong_setting_is_told_and_nothing_happens(
    notification: Notification, configure: Callable[..., None]
) -> None:
    """Resuming needs a way to send: what is wrong with the settings is shown, not a crash."""
    carry_out(notification, "pause")
    configure(DISPATCHER="no.such.Dispatcher")
    assert "DISPATCHER" in carry_out(notification, "resume")
    notification.refresh_from_db()
    assert notification.paused_at is not None


def test_the_list_shows_progress_at_a_constant_price(
    template: MessageTemplate, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """Counts of all rows of the page come with one query."""
    bindings = make_bindings(2)
    for _ in range(20):
        notify(bindings, template, ORDER)
    client = browser("view_notification")
    with django_assert_max_num_queries(9):
        shown = text(client.get(page("notification")))
    assert shown.count("waiting 2") == 20


def test_the_list_says_what_is_paused(notification: Notification) -> None:
    """A paused notification, and one whose template is paused, are marked."""
    client = browser("view_notification")
    MessageTemplate.objects.update(paused_at=notification.created_at)
    assert ">Waiting for a template<" in text(client.get(page("notification")))
    Notification.objects.update(paused_at=notification.created_at)
    assert ">Paused<" in text(client.get(page("notification")))


@pytest.mark.parametrize(("query", "count"), [("order_paid", 1), ("订单", 1), ("nothing", 0)])
def test_search(notification: Notification, query: str, count: int) -> None:
    """Notifications are found by their template's name or title."""
    response = browser("view_notification").get(page("notification"), {"q": query})
    assert response.context["cl"].result_count == count
    elsewhere = browser("view_notification").get(page("notification"), {"account": "other"})
    assert elsewhere.context["cl"].result_count == 0


def test_the_data_is_read_as_people_read_it() -> None:
    """Each value beside the label of its field; a name without a field stands for itself."""
    template = make_template(field_names={"order_no": "character_string1", "extra": ""})
    data = {"order_no": "2026112301", "thing2": "手工羊毛围巾", "extra": "x"}
    miniprogram = {"appid": "wx0123456789abcdef", "pagepath": "pages/order"}
    notification = notify(make_binding(), template, data, miniprogram=miniprogram)
    shown = text(browser(*SEE).get(page("notification", "change", notification.pk)))
    labels = {field.name: field.label for field in template.fields}
    for label, value in (
        (labels["character_string1"], "2026112301"),
        (labels["thing2"], "手工羊毛围巾"),
        ("extra", "x"),
    ):
        assert f"<dt>{label}</dt><dd>{value}</dd>" in shown
    assert "wx0123456789abcdef pages/order" in shown
    assert "{&quot;" not in shown
