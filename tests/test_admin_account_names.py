"""Accounts are called by their NAME on every page; the alias is a word of the settings."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests import admin_everything
from tests.admin_pages import page, text
from tests.factories import make_template
from wechat_notify.names import account_name
from wechat_notify.sandbox.server import Sandbox

pytestmark = pytest.mark.django_db

NAME, OTHER = "阳光实验学校", "阳光书店"


@pytest.fixture
def boss(settings: Any, configure: Callable[..., None]) -> Client:
    """A browser of the superuser, on a site whose accounts have names."""
    settings.ROOT_URLCONF = "tests.compose_site"
    configure(default={"NAME": NAME})
    settings.WECHAT_NOTIFY["ACCOUNTS"]["other"]["NAME"] = OTHER
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    return client


SHOWN_ON = (
    "logs",
    "log",
    "dashboard",
    "notifications",
    "choose",
    "compose",
    "templates",
    "template",
    "gallery",
    "sync",
    "bindings",
    "binding",
    "recipients",
    "saved",
    "index",
    "app",
    "alerts",
    "alert",
)


@pytest.mark.parametrize("name", SHOWN_ON)
def test_every_page_calls_the_account_by_its_name(boss: Client, name: str) -> None:
    """Where the account is shown at all; and nowhere is the alias shown to people."""
    make_template("elsewhere", account="other")
    pages = admin_everything.make(make_template())
    shown = text(boss.get(pages[name]))
    assert NAME in shown
    assert ">default<" not in shown
    assert "Account default" not in shown


def test_adding_a_row_offers_names(boss: Client) -> None:
    """What the browser sends is the alias, as before; nothing is said of settings."""
    shown = text(boss.get(page("messagetemplate", "add")))
    assert f'<option value="default" selected>{NAME}</option>' in shown
    assert f'<option value="other">{OTHER}</option>' in shown
    assert "ACCOUNTS" not in shown


def test_quotas_and_what_a_sync_tells_have_the_name(
    boss: Client, configure: Callable[..., None], wechat: Sandbox
) -> None:
    """Each line begins with it."""
    configure(default=wechat_settings(wechat))
    assert f"<strong>{NAME}</strong>" in boss.get(page("sendlog", "quota")).json()["html"]
    answer = boss.post(
        page("messagetemplate", "sync"),
        {"post": "yes", "account": "default"},
        headers={"Accept": "application/json"},
    )
    assert answer.json()["told"][0]["text"].startswith(f"Account {NAME} ")


def wechat_settings(wechat: Sandbox) -> dict[str, Any]:
    return {
        "BACKEND": "wechat_notify.backends.wechat.WeChatBackend",
        "API_BASE": wechat.url,
        "APP_ID": wechat.app_id,
        "APP_SECRET": wechat.app_secret,
    }


def test_an_account_that_is_configured_no_more_keeps_its_alias() -> None:
    """Its rows are still there."""
    assert account_name("former") == "former"
