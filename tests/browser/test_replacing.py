"""A banned template is replaced in the admin, in a browser, while 1,300 messages wait."""

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP
from tests.browser.test_admin import sign_in
from tests.crash_templates import NAMES, SPARE_CONTENT
from wechat_notify.declarations import declare
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import notify

MESSAGES = 2_000
BANNED_AFTER = 700
ORDER = {"order_no": "2026112301", "title": "围巾"}


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    """The same site with Django's admin; its messages wait for a worker, and bring no receipts."""
    settings.ROOT_URLCONF = "tests.urls"
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
    }
    wechat.account.any_openid = True
    wechat.account.callback_url = ""  # no receipts: each row stays "sent"
    get_user_model().objects.create_superuser("boss", password="letmein")
    return site


def deliver() -> None:
    with DATABASE:
        engine.deliver()


def counts() -> dict[str, int]:
    with DATABASE:
        return {status: n for status, n in SendLog.objects.all().counts().items() if n}


def test_a_banned_template_is_replaced_while_messages_wait(
    site: str, wechat: Any, open_browser: Any
) -> None:
    """Chosen, looked at, confirmed: what waited arrives once, with the new template."""
    old = factories.make_template(field_names=NAMES)
    new = factories.make_template("t-abcd1234", title="新的订单通知", content=SPARE_CONTENT)
    wechat.add_template({**factories.sandbox_template(old), "ban_after": BANNED_AFTER})
    wechat.add_template(factories.sandbox_template(new))
    notify((factories.openid(n) for n in range(MESSAGES)), "order_paid", ORDER)
    deliver()
    waiting = MESSAGES - BANNED_AFTER
    assert counts() == {"pending": waiting, "sent": BANNED_AFTER}

    page = open_browser(DESKTOP)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/messagetemplate/{old.pk}/change/")
    page.get_by_text("WeChat has banned this template.").first.wait_for()
    page.get_by_role("link", name="Replace by another template").click()
    page.get_by_label("New template").select_option(label="新的订单通知 (t-abcd1234)")
    page.get_by_role("button", name="Show what would happen").click()
    page.get_by_text(f"{waiting} messages wait and leave with the new template.").wait_for()
    assert page.get_by_label("商品名称 · title").input_value() == "thing7"
    assert page.get_by_label("订单编号 · order_no").input_value() == "character_string9"
    assert page.locator("dd", has_text="围巾").count() == 2
    page.get_by_role("button", name="Replace by another template").click()
    page.get_by_text(f"{waiting} messages that waited go on.").wait_for()

    deliver()
    assert counts() == {"sent": MESSAGES}
    assert set(wechat.counts.values()) == {1}
    assert len(wechat.counts) == MESSAGES
    left_with = Counter(message.template_id for message in wechat.messages)
    assert left_with == {old.template_id: BANNED_AFTER, new.template_id: waiting}


def test_names_are_given_in_a_browser(site: str, open_browser: Any, own_declarations: None) -> None:
    """Proposed beside each field, changed, saved, and there when the page is opened again."""
    template = factories.make_template()
    declare("order_paid", fields=["order_no", "title"])
    page = open_browser(DESKTOP)
    sign_in(page, site)
    address = f"{site}/admin/wechat_notify/messagetemplate/{template.pk}/change/"
    page.goto(address)
    page.get_by_text("Proposed from what the code declares").wait_for()
    assert page.get_by_label("Name in code of thing2").input_value() == "title"
    page.get_by_label("Name in code of thing2").fill("product")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_text("was changed successfully").wait_for()
    assert page.get_by_label("Name in code of thing2").input_value() == "product"
    with DATABASE:
        names = MessageTemplate.objects.get().field_names
    assert names == {"order_no": "character_string1", "product": "thing2"}
