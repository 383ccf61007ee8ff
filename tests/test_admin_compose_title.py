"""The title of a composed message: typed, or proposed from what everybody gets."""

from typing import Any

import pytest

from tests import factories
from tests.admin_pages import browser, page, text
from tests.compose_pages import (
    CONTENT,
    address,
    composer,
    errors,
    filled,
    hidden_inputs,
    person,
    review,
    send,
)
from wechat_notify.models import TITLE_LENGTH, MessageTemplate, Notification

pytestmark = pytest.mark.django_db

MADE = "围巾 · 39.80元"
PERSONAL = "{{ user.first_name }}的围巾"


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(content=CONTENT)


def placeholder(html: str) -> str:
    """What stands greyed in the input for the title."""
    given = html.partition('name="title"')[2].partition(">")[0]
    return given.partition('placeholder="')[2].partition('"')[0]


@pytest.mark.parametrize(
    ("typed", "value", "title"),
    [
        ("  秋游  ", "围巾", "秋游"),
        ("", "围巾", MADE),
        ("秋游", PERSONAL, "秋游"),
        ("", PERSONAL, "39.80元 · 2026年11月23日 15:01"),
    ],
)
def test_the_title_of_what_is_sent(
    template: MessageTemplate, typed: str, value: str, title: str
) -> None:
    """What is typed; else the first values that are the same for everybody. The review says it."""
    alice = person("alice", 1, first_name="爱丽丝")
    form = filled(template, alice, title=typed, value_thing1=value)
    assert f"Title: {title}" in text(review(composer(), form))
    send(composer(), form)
    made = Notification.objects.get()
    assert made.title == title
    client = browser("view_notification")
    assert f"{title} #{made.pk}" in text(client.get(page("notification", "change", made.pk)))


def test_the_title_is_proposed_while_one_types(template: MessageTemplate) -> None:
    """By the script's question and in the page itself, from what is filled in so far."""
    client, form = composer(), filled(template)
    assert client.post(address("compose_preview"), form).json()["title"] == MADE
    assert placeholder(text(client.post(address(), {**form, "_edit": "1"}))) == MADE
    assert placeholder(text(client.get(address(), {"template": template.pk}))) == ""


def test_a_title_is_not_lost(template: MessageTemplate) -> None:
    """On the way to another template, to the review and back."""
    client, form = composer(), filled(template, person("alice", 1), title="秋游")
    assert hidden_inputs(review(client, form))["title"] == ["秋游"]
    chosen = text(client.post(address(), {**form, "_templates": "1"}))
    assert '<input type="hidden" name="title" value="秋游">' in chosen
    assert 'value="秋游"' in text(client.post(address(), {**form, "_edit": "1"}))


def test_a_title_that_is_too_long(template: MessageTemplate) -> None:
    """It is told where it was typed; nothing is cut off behind somebody's back."""
    form = filled(template, person("alice", 1), title="长" * (TITLE_LENGTH + 1))
    assert "title" in errors(review(composer(), form))
