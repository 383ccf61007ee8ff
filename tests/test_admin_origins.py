"""What made a notification: other apps add links to its page, and the core knows none of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.html import format_html

from tests.admin_pages import browser, page, text
from tests.factories import ORDER, make_binding
from wechat_notify.admin.parts import origins
from wechat_notify.models import MessageTemplate, Notification
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_origins() -> Iterator[None]:
    """What the test registers ends with it."""
    before = list(origins.origins)
    yield
    origins.origins[:] = before


@pytest.fixture
def notification(template: MessageTemplate) -> Notification:
    return notify(make_binding(), template, ORDER)


def shown(notification: Notification) -> str:
    return text(browser("view_notification").get(page("notification", "change", notification.pk)))


def test_each_that_knows_something_is_shown(notification: Notification) -> None:
    """In the order of registering; one registered twice is asked once."""
    asked = []

    @origins.origin
    def first(site: AdminSite, request: HttpRequest, row: Notification) -> Any:
        asked.append((site.name, request.user.get_username(), row.pk))
        return format_html('<a href="/x/">{}</a>', "<the first>")

    @origins.origin
    def silent(site: AdminSite, request: HttpRequest, row: Notification) -> Any:
        return None

    origins.origin(first)
    origins.origin(lambda site, request, row: format_html("{}", "the last"))
    found = shown(notification)
    assert '<a href="/x/">&lt;the first&gt;</a> · the last' in found
    assert "Made by:" in found
    assert asked == [("admin", "clerk", notification.pk)]


def test_nothing_to_say_is_no_line(notification: Notification) -> None:
    """A notification that nobody knows has no empty line on its page."""
    origins.origin(lambda site, request, row: None)
    assert "Made by:" not in shown(notification)
