"""The browser's Back, and where the focus is when a page refuses what was filled in."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests import admin_everything, factories
from tests.browser.conftest import DATABASE, DESKTOP, follow
from wechat_notify.models import MessageTemplate, Notification, SendLog

COMPOSE = "/admin/wechat_notify/notification/compose/"
CONTENT = "商品：{{thing1.DATA}}\n金额：{{amount2.DATA}}"


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    """The same site with a school's admin; its messages wait for a worker."""
    settings.ROOT_URLCONF = "tests.compose_site"
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
    }
    wechat.account.any_openid = True
    get_user_model().objects.create_superuser("boss")
    return site


@pytest.fixture
def template(transactional_db: None) -> MessageTemplate:
    factories.make_binding(factories.make_user("chen", last_name="陈", first_name="敏"), 99)
    return factories.make_template(content=CONTENT, title="订单支付成功通知")


def fill_in(page: Any) -> None:
    page.get_by_label("商品", exact=True).fill("秋季校服")
    page.get_by_label("金额", exact=True).fill("99元")
    page.locator("[name=everyone]").check()


def wait_for_value(page: Any, value: str) -> None:
    """The form comes empty first, and then once more with what was filled in."""
    page.wait_for_function(
        "value => document.querySelector('[name=value_thing1]')?.value === value"
        " && document.readyState === 'complete'",
        arg=value,
    )


def test_back_after_a_send_is_the_form_as_it_was(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """No error page and nothing lost; nothing is sent by going back, and again it can be sent."""
    page = open_browser(DESKTOP, "boss")
    page.goto(f"{site}{COMPOSE}")
    follow(page.locator(f"button[name=template][value='{template.pk}']"))
    fill_in(page)
    follow(page.locator("[name=_review]").last)
    follow(page.locator("[name=_send]"))
    page.get_by_role("progressbar").wait_for()
    page.go_back()
    page.get_by_label("商品", exact=True).wait_for()
    wait_for_value(page, "秋季校服")
    assert page.locator("[name=everyone]").is_checked()
    with DATABASE:
        assert Notification.objects.count() == 1
    page.go_back()
    page.get_by_label("商品", exact=True).wait_for()
    wait_for_value(page, "秋季校服")
    page.go_back()
    page.locator(".wechat-tile").first.wait_for()


def test_loading_the_review_again_is_the_form(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """The browser does not ask whether to post again."""
    page = open_browser(DESKTOP, "boss")
    page.goto(f"{site}{COMPOSE}?template={template.pk}")
    fill_in(page)
    follow(page.locator("[name=_review]").last)
    page.locator("[name=_send]").wait_for()
    page.reload()
    page.get_by_label("商品", exact=True).wait_for()
    wait_for_value(page, "秋季校服")


def test_back_after_an_action_is_the_list(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """The page that asked was the answer to a POST."""
    with DATABASE:
        admin_everything.make(factories.make_template("order_shipped"))
        SendLog.objects.update(status="failed", errcode=43004, due_at=None)
    page = open_browser(DESKTOP, "boss")
    page.goto(f"{site}/admin/wechat_notify/sendlog/")
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").first.select_option("resend")
    run = page.get_by_role("button", name="Run", exact=False)
    follow(run.or_(page.get_by_role("button", name="Go")).first)
    follow(page.locator("#content-main [type=submit]"))
    page.locator(".messagelist").wait_for()
    page.go_back()
    page.locator("#result_list").wait_for()
    with DATABASE:
        assert Notification.objects.filter(source="resend").count() == 1


@pytest.mark.parametrize(
    ("wrong", "focused"),
    [
        ({"金额": "many"}, "value_amount2"),
        ({"商品": "", "金额": "many"}, "value_thing1"),
        ({}, "user_search"),
    ],
)
def test_the_focus_goes_to_the_first_error(
    site: str,
    template: MessageTemplate,
    open_browser: Any,
    wrong: dict[str, str],
    focused: str,
) -> None:
    """An input; and where nobody was chosen, the search for people."""
    page = open_browser(DESKTOP, "boss")
    page.goto(f"{site}{COMPOSE}?template={template.pk}")
    fill_in(page)
    for label, value in wrong.items():
        page.get_by_label(label, exact=True).fill(value)
    if not wrong:
        page.locator("[name=everyone]").uncheck()
    follow(page.locator("[name=_review]").last)
    page.locator(".errornote").wait_for()
    assert page.evaluate("document.activeElement.name") == focused


def test_the_focus_goes_to_the_first_error_of_a_row(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """On Django's own forms, where the error stands above its input."""
    page = open_browser(DESKTOP, "boss")
    page.goto(f"{site}/admin/wechat_notify/messagetemplate/{template.pk}/change/")
    page.locator("[name=url]").fill("ftp://school.example/")
    follow(page.locator("[name=_save]").first)
    page.locator(".errornote").wait_for()
    assert page.evaluate("document.activeElement.name") == "url"
