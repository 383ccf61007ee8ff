"""USE_THOUSAND_SEPARATOR is for people: no key, address or script gets a number with commas."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests import admin_everything, factories
from tests.admin_pages import SEE, browser, page, text
from tests.compose_pages import CONTENT, address, composer, filled, names, person, review, send
from wechat_notify.models import MessageTemplate, OpenIDBinding, SendLog
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

KEY = 1_234_567
RIGHTS = ("resend_sendlog", "sync_messagetemplate", "view_openid", "add_openidbinding")
SEPARATED = re.compile(r'[\w-]+="[^"]*[0-9],[0-9]{3}[^"]*"')
"""An attribute with such a number."""


@pytest.fixture(autouse=True)
def separators(settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(pk=KEY)


def test_no_page_of_the_admin_has_one(template: MessageTemplate) -> None:
    """Neither the lists nor the pages of single rows, nor those that ask."""
    client = Client()
    client.force_login(factories.make_user("boss", is_staff=True, is_superuser=True))
    for url in admin_everything.make(template).values():
        assert SEPARATED.findall(text(client.get(url))) == []


def test_a_message_is_composed_and_sent(template: MessageTemplate) -> None:
    """From the first page to the last."""
    MessageTemplate.objects.update(content=CONTENT)
    alice = person("alice", 1)
    client = composer()
    for shown in (client.get(address()), review(client, filled(template, alice))):
        assert f'"{KEY}"' in text(shown)
        assert SEPARATED.findall(text(shown)) == []
    send(client, filled(template, alice))
    assert names() == ["alice"]


def test_a_panel_hands_its_numbers_to_its_script(template: MessageTemplate) -> None:
    """They come back with the next question."""
    notification = notify(factories.make_bindings(1001), template, factories.ORDER)
    notification.logs.update(status="sent", msgid=KEY)
    shown = text(browser(*SEE).get(page("notification", "change", notification.pk)))
    assert 'data-done="1001"' in shown
    log = SendLog.objects.latest("pk")
    assert f">{KEY}<" in text(browser(*SEE).get(page("sendlog", "change", log.pk)))


def test_one_binding_is_forgotten_by_its_button() -> None:
    """The button sends the binding's own number."""
    binding = factories.make_binding(pk=KEY)
    client = Client()
    client.force_login(binding.user)
    url = reverse("wechat_notify:bind", args=["default"])
    (number,) = re.findall(r'name="binding" value="([^"]*)"', text(client.get(url)))
    unbind = reverse("wechat_notify:unbind", args=["default"])
    client.post(unbind, {"binding": number})
    assert not OpenIDBinding.objects.exists()
