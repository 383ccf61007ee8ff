"""Two members of staff, each in a browser of their own: one asks, the other approves."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP
from tests.browser.test_admin import deliver
from tests.compose_pages import person
from wechat_notify.models import Approval, MessageTemplate, SendLog

NARROW = {"viewport": {"width": 390, "height": 844}}
DEVICES = pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
SEE = ("view_notification", "view_sendlog", "view_messagetemplate", "view_user")


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    """The same site with Django's admin, where three people are many. Nothing is sent but by a
    worker."""
    settings.ROOT_URLCONF = "tests.urls"
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "APPROVAL_ABOVE": 2,
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
    }
    wechat.account.any_openid = True
    # Receipts would come while a page is at work, and share its connection to the database.
    wechat.account.callback_url = ""
    # What the browser keeps open may end after the server, and then gives its database back.
    connection.inc_thread_sharing()
    for number in range(1, 4):
        person(f"parent{number}", number, last_name="王", first_name=f"小{'一二三'[number - 1]}")
    return site


@pytest.fixture
def template(wechat: Any, transactional_db: None) -> MessageTemplate:
    made = factories.make_template()
    wechat.add_template(factories.sandbox_template(made))
    return made


def staff(username: str, name: str, *codenames: str) -> None:
    user = get_user_model().objects.create(username=username, last_name=name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[*SEE, *codenames]))


@pytest.fixture
def two(
    site: str, template: MessageTemplate, open_browser: Callable[..., Any]
) -> Callable[..., Any]:
    """The pages of who asks, and of who may approve, on this device."""
    staff("wang", "王芳", "send_notification")
    staff("li", "李四", "approve_notification")
    return lambda device: (open_browser(device, "wang"), open_browser(device, "li"))


def fits(page: Any) -> bool:
    answer: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return answer


def ask(page: Any, site: str, template: MessageTemplate) -> None:
    """Compose a message for the three, and ask for its approval."""
    page.goto(f"{site}/admin/wechat_notify/notification/compose/?template={template.pk}")
    page.get_by_label("订单编号", exact=True).fill("2026112301")
    page.get_by_label("商品名称", exact=True).fill("秋季校服")
    page.get_by_label("Everyone who has bound WeChat").check()
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("Above 2 recipients a second person approves it.").wait_for()
    page.get_by_text("Can approve it: 李四 (li).").wait_for()
    assert fits(page)
    page.get_by_role("button", name="Ask for approval of 3 messages").click()
    page.get_by_text("It waits for approval:").wait_for()


@DEVICES
def test_one_asks_and_another_approves(
    site: str, template: MessageTemplate, two: Callable[..., Any], device: Any
) -> None:
    """The second person finds it on the first page, sees what will be sent, and lets it go; the
    page of the first one follows."""
    asking, approving = two(device)
    ask(asking, site, template)
    asking.get_by_text("it waits for a second person’s approval.").wait_for()
    assert asking.get_by_role("link", name="Approve", exact=True).count() == 0
    deliver()
    with DATABASE:
        assert SendLog.objects.filter(status="pending", due_at=None).count() == 3

    approving.goto(f"{site}/admin/")
    # On a phone, what is beside it covers a part.
    approving.locator("#content-main").get_by_role("link", name="To approve").first.click()
    approving.get_by_role("link", name="秋季校服").click()
    approving.get_by_text("messages wait for your approval").wait_for()
    for words in ("Asked for by 王芳", "王小一", "秋季校服"):
        approving.get_by_text(words).first.wait_for()
    assert fits(approving)
    approving.get_by_role("button", name="Approve: send 3 messages").click()
    approving.get_by_text("Approved: 3 messages go out.").wait_for()
    approving.get_by_text("approved by 李四").wait_for()
    assert fits(approving)
    deliver()
    asking.reload()
    asking.get_by_text("All 3 messages are done.").wait_for()


def test_what_was_decided_meanwhile_is_said(
    site: str, template: MessageTemplate, two: Callable[..., Any]
) -> None:
    """The first one withdraws it while the second one looks: the button does nothing more."""
    asking, approving = two(DESKTOP)
    ask(asking, site, template)
    with DATABASE:
        pk = Approval.objects.get().notification_id
    approving.goto(f"{site}/admin/wechat_notify/notification/{pk}/approve/")
    asking.get_by_role("link", name="Cancel sending").click()
    asking.get_by_role("button", name="Cancel sending").click()
    asking.get_by_text("3 messages were cancelled.", exact=True).wait_for()
    approving.get_by_role("button", name="Approve: send 3 messages").click()
    approving.get_by_text("It was withdrawn at").wait_for()
    with DATABASE:
        assert SendLog.objects.filter(status="cancelled").count() == 3


def test_refused_with_a_reason_by_keyboard(
    site: str, template: MessageTemplate, two: Callable[..., Any]
) -> None:
    """And whoever asked reads why."""
    asking, approving = two(NARROW)
    ask(asking, site, template)
    with DATABASE:
        pk = Approval.objects.get().notification_id
    approving.goto(f"{site}/admin/wechat_notify/notification/{pk}/approve/")
    approving.get_by_role("link", name="Refuse").focus()
    approving.keyboard.press("Enter")
    approving.get_by_label("Reason").focus()
    approving.keyboard.type("The date is wrong.")
    approving.keyboard.press("Tab")
    approving.keyboard.press("Enter")
    approving.get_by_text("Refused: 3 messages were cancelled.").wait_for()
    asking.reload()
    asking.get_by_text("refused by 李四: The date is wrong.").wait_for()
