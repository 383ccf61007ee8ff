"""What a notification is called: by who wrote it, by what it says, or else by its template."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import ORDER, make_binding, make_bindings
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import TITLE_LENGTH, MessageTemplate, Notification, as_title
from wechat_notify.services import notify, resend
from wechat_notify.wechat.text import CONTROL

pytestmark = pytest.mark.django_db

MADE = "2026112301 · 围巾"


def test_the_first_values_are_the_title(template: MessageTemplate) -> None:
    """In the template's order, whatever the caller's; the number stands behind."""
    made = notify(make_binding(), template, dict(reversed(ORDER.items())))
    assert made.title == MADE
    assert str(made) == f"{MADE} #{made.pk}"
    assert Notification.objects.get().title == MADE


def test_values_by_the_sites_own_names(template: MessageTemplate) -> None:
    """A field's name in code changes neither the order nor the title."""
    template.field_names = {"zz_order": "character_string1", "aa_title": "thing2"}
    template.save()
    made = notify(make_binding(), template, {"aa_title": "围巾", "zz_order": "2026112301"})
    assert made.title == MADE


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("春游通知", "春游通知"),
        ("  two\nlines ", "two lines"),
        (gettext_lazy("Notification"), "Notification"),
        ("长" * 300, "长" * (TITLE_LENGTH - 1) + "…"),
        ("", MADE),
        ("\x00", MADE),
    ],
)
def test_a_title_that_is_given(template: MessageTemplate, given: Any, stored: str) -> None:
    """It is one line, no longer than the column; an empty one is none."""
    with translation.override("en"):
        made = notify(make_binding(), template, ORDER, title=given)
    made.refresh_from_db()
    assert made.title == stored


@given(text=st.text())
def test_any_text_can_be_a_title(text: str) -> None:
    """Whatever is typed: it fits the column, and every database stores it."""
    title = as_title(text)
    assert len(title) <= TITLE_LENGTH
    assert CONTROL.search(title) is None
    assert as_title(title) == title


def test_what_is_no_text_is_no_title(template: MessageTemplate) -> None:
    """A mistake of the caller's, told like the others, all at once."""
    with pytest.raises(InvalidData) as raised:
        notify(make_binding(), template, {}, title=7)  # type: ignore[arg-type]
    assert {problem.field for problem in raised.value.problems} >= {"title", "thing2"}
    assert not Notification.objects.exists()


def test_what_differs_for_each_is_no_title(template: MessageTemplate) -> None:
    """Nothing of one recipient's is shown for all: then the template says what it is."""
    own = notify(make_bindings(2), template, lambda user: {**ORDER, "thing2": user.username})
    assert own.title == ""
    assert str(own) == f"订单支付成功通知 #{own.pk}"
    named = notify(make_binding(number=9), template, lambda user: ORDER, title="春游")
    assert str(named) == f"春游 #{named.pk}"


def test_a_notification_from_before_titles(template: MessageTemplate) -> None:
    """It is called by its first values all the same."""
    made = notify(make_binding(), template, ORDER)
    Notification.objects.update(title="", search_text=None)
    assert str(Notification.objects.get(pk=made.pk)) == f"{MADE} #{made.pk}"


def test_data_that_breaks_a_rule_is_stored_with_a_title(
    template: MessageTemplate, configure: Any
) -> None:
    """Skipped rows have a notification, too, and it can be told from others."""
    configure(INVALID_DATA="skip")
    made = notify(make_binding(), template, {**ORDER, "thing2": "长" * 30})
    assert made.title == "2026112301 · " + "长" * 30


def test_what_is_sent_again_keeps_its_title(template: MessageTemplate) -> None:
    """A resend is the same message under another number."""
    made = notify(make_bindings(2), template, ORDER, title="春游")
    made.logs.update(status="failed", errcode=-1, due_at=None)
    [again] = {log.notification for log in resend(made.logs.all())}
    assert again.pk != made.pk
    assert str(again) == f"春游 #{again.pk}"


def test_a_title_costs_no_query(template: MessageTemplate) -> None:
    """Made from what is there, and written with the row."""
    binding = make_binding()
    with CaptureQueriesContext(connection) as given:
        notify(binding, template, ORDER, title="春游")
    with CaptureQueriesContext(connection) as made:
        notify(binding, template, ORDER)
    assert len(made) == len(given)


def test_the_search_text_follows_title_and_data(template: MessageTemplate) -> None:
    """Whoever saves them: also with ``update_fields``, and not where neither is saved."""
    made = notify(make_binding(), template, {**ORDER, "thing2": "Scarf"}, title="Spring TRIP")
    assert made.search_text == "spring trip\n2026112301\nscarf"
    made.title = "Autumn"
    made.save(update_fields=["url"])
    assert Notification.objects.get().search_text == "spring trip\n2026112301\nscarf"
    made.save(update_fields=["title"])
    found = Notification.objects.get()
    assert (found.title, found.search_text) == ("Autumn", "autumn\n2026112301\nscarf")
