"""Test messages: sent like any other, marked wherever they show, counted nowhere."""

import io
import re
from typing import Any

import pytest
from django.core.management import call_command

from tests import factories
from tests.admin_pages import RESEND, SEE, browser, page, text
from tests.compose_pages import (
    CONTENT,
    VALUES,
    address,
    composer,
    filled,
    hidden_inputs,
    names,
    review,
)
from wechat_notify.backends import locmem
from wechat_notify.diagnosis.outgoing import look_at_messages
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.services import notify, resend

pytestmark = pytest.mark.django_db

MARK = '<span class="wechat-badge wechat-badge--quiet">test</span>'


def both(template: MessageTemplate) -> tuple[Notification, Notification]:
    """A test to one person, and a message to two others."""
    one, *others = factories.make_bindings(3)
    test = notify(one, template, factories.ORDER, title="A try", is_test=True)
    return test, notify(others, template, factories.ORDER, title="In earnest")


def listed(model: str, **narrowed: str) -> Any:
    response = browser(*SEE).get(page(model), narrowed)
    assert response.status_code == 200
    return response


def test_what_one_sends_to_oneself_first_is_a_test() -> None:
    """The page for composing marks it; what is sent afterwards is none."""
    template = factories.make_template(content=CONTENT)
    client = composer("view_notification")
    me = client.get(address()).wsgi_request.user
    binding = factories.make_binding(me, 9)
    form = hidden_inputs(review(client, filled(template, binding.user)))
    tested = client.post(address(), {**form, "_test": "1"})
    client.post(address(), {**hidden_inputs(tested), "_send": "1"})
    made = Notification.objects.order_by("pk").values_list("is_test", flat=True)
    assert list(made) == [True, False]


@pytest.mark.django_db(transaction=True)
def test_a_test_from_the_shell(template: MessageTemplate) -> None:
    """--test; it is sent all the same."""
    call_command(
        "wechat_send",
        "order_paid",
        *(f"{name}={value}" for name, value in factories.ORDER.items()),
        "--openid",
        factories.openid(1),
        "--test",
        stdout=io.StringIO(),
    )
    assert Notification.objects.get().is_test
    assert len(locmem.outbox) == 1


def test_a_test_that_is_resent_is_a_test(template: MessageTemplate) -> None:
    """Resending the rows of both makes a test and a message that counts."""
    both(template)
    SendLog.objects.update(status="failed", due_at=None)
    resend(SendLog.objects.all())
    again = Notification.objects.filter(source="resend").order_by("pk")
    assert list(again.values_list("title", "is_test")) == [("A try", True), ("In earnest", False)]


def test_tests_are_marked_in_both_lists_and_on_their_pages(template: MessageTemplate) -> None:
    """And nothing else is."""
    test, other = both(template)
    client = browser(*SEE)
    for model in ("notification", "sendlog"):
        assert text(listed(model)).count(MARK) == 1
    said = text(client.get(page("notification", "change", test.pk)))
    assert MARK in said
    assert "It is a test: statistics do not count it." in said
    assert MARK in text(client.get(page("sendlog", "change", test.logs.get().pk)))
    assert MARK not in text(client.get(page("notification", "change", other.pk)))
    assert MARK not in text(client.get(page("sendlog", "change", other.logs.first().pk)))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("narrowed", "count"), [({}, 2), ({"test": "no"}, 1), ({"test": "yes"}, 1)]
)
def test_the_list_of_notifications_with_and_without_tests(
    template: MessageTemplate, narrowed: dict[str, str], count: int
) -> None:
    """They are listed unless somebody does not want them."""
    both(template)
    response = listed("notification", **narrowed)
    assert response.context["cl"].result_count == count
    assert (MARK in text(response)) is (narrowed != {"test": "no"})


@pytest.mark.parametrize(
    ("narrowed", "count"), [({}, 3), ({"test": "no"}, 2), ({"test": "yes"}, 1)]
)
def test_the_send_log_with_and_without_tests(
    template: MessageTemplate, narrowed: dict[str, str], count: int
) -> None:
    """The same filter finds their messages."""
    both(template)
    assert listed("sendlog", **narrowed).context["cl"].result_count == count


def test_the_dashboard_does_not_count_tests(template: MessageTemplate) -> None:
    """Neither today nor as a cause; and its links lead to what it has counted."""
    both(template)
    SendLog.objects.update(status="failed", errcode=43004, due_at=None)
    client = browser(*SEE)
    shown = client.get(page("sendlog", "dashboard")).context
    assert shown["overview"].today == shown["overview"].total == {"failed": 2}
    ((used, counts),) = shown["overview"].templates
    assert (used, counts) == (template, {"failed": 2})
    (cause,) = shown["causes"]
    assert cause["count"] == 2
    for row in (cause, *shown["templates"]):
        assert client.get(row["url"]).context["cl"].result_count == 2


def test_a_failed_test_is_not_the_last_message(template: MessageTemplate) -> None:
    """ "Only who did not get the last message" looks past a test that failed, or that arrived."""
    template = factories.make_template("shipped", content=CONTENT)
    binding, missed = factories.make_bindings(2)
    data = {name.removeprefix("value_"): value for name, value in VALUES.items()}
    earnest = notify([binding, missed], template, data)
    earnest.logs.update(status="delivered")
    earnest.logs.filter(user=missed.user).update(status="failed")
    notify(binding, template, data, is_test=True).logs.update(status="failed")
    notify(missed, template, data, is_test=True).logs.update(status="delivered")
    client = composer("view_notification")
    form = filled(template, binding.user, missed.user, missed="on")
    before = SendLog.objects.count()
    client.post(address(), {**hidden_inputs(review(client, form)), "_send": "1"})
    assert names(SendLog.objects.order_by("pk")[before:]) == ["user2"]


def test_doctor_counts_no_test_as_in_doubt(template: MessageTemplate) -> None:
    """Nobody looks up whether a test has arrived. One that waits has to be sent like any other."""
    both(template)

    def said() -> str:
        return "\n".join(finding.text for finding in look_at_messages("default", cache_works=True))

    assert "Messages: 3 due" in said()
    SendLog.objects.update(status="uncertain", due_at=None)
    assert re.findall(r"(\d+) uncertain", said()) == ["2"]


def test_a_test_can_be_resent_from_the_send_log(template: MessageTemplate) -> None:
    """The mark keeps nobody from it."""
    test, _other = both(template)
    test.logs.update(status="failed", due_at=None)
    client = browser(*SEE, *RESEND)
    client.post(page("sendlog", "resend", test.logs.get().pk), {"post": "yes"})
    assert Notification.objects.get(source="resend").is_test
