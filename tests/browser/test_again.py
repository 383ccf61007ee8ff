"""From a notification's page to the next message, as a secretary does it; every click is counted.

docs/admin.md says how many there are.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP, follow
from tests.browser.measures import misfits
from wechat_notify.models import Draft, MessageTemplate, Notification, SendLog
from wechat_notify.services import notify

NARROW = {"viewport": {"width": 390, "height": 844}}
CONTENT = "商品：{{thing1.DATA}}\n金额：{{amount2.DATA}}"
ADMIN = "/admin/wechat_notify/"

devices = pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])


@pytest.fixture
def browsers_language(settings: Any) -> None:
    """The admin speaks the language of the browser. Before the site is started."""
    before = settings.MIDDLEWARE
    after_session = before.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    language = "django.middleware.locale.LocaleMiddleware"
    settings.MIDDLEWARE = [*before[:after_session], language, *before[after_session:]]


@pytest.fixture
def site(browsers_language: None, site: str, settings: Any) -> str:
    """The same site with a school's admin; its messages wait for a worker that never comes."""
    settings.ROOT_URLCONF = "tests.compose_site"
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
    }
    get_user_model().objects.create_superuser("boss")
    return site


@pytest.fixture
def template(transactional_db: None) -> MessageTemplate:
    return factories.make_template(content=CONTENT, title="订单支付成功通知")


@pytest.fixture
def without_scripts(chromium: Any, site: str, open_browser: Any) -> Iterator[Callable[[Any], Any]]:
    """The same browser without JavaScript, signed in like the given page."""
    contexts = []

    def open_page(page: Any) -> Any:
        contexts.append(chromium.new_context(**NARROW, locale="zh-CN", java_script_enabled=False))
        contexts[-1].add_cookies(page.context.cookies())
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


class Hand:
    """Opens one notification's page, and counts what is clicked from there on."""

    def __init__(self, page: Any, site: str, notification: Notification) -> None:
        self.page = page
        self.clicks = 0
        page.goto(f"{site}{ADMIN}notification/{notification.pk}/change/")

    def press(self, name: str) -> None:
        """A link or a button that leads to another page."""
        way = self.page.get_by_role("link", name=name, exact=True)
        follow(way.or_(self.page.get_by_role("button", name=name, exact=True)).first)
        self.clicks += 1

    def review_and_send(self, button: str) -> None:
        self.press("下一步：确认")
        assert misfits(self.page) == []
        self.press(button)
        self.page.get_by_role("progressbar").wait_for()


def personal(template: MessageTemplate, count: int = 3) -> Notification:
    """Each gets their own goods, all the same amount; all but the first are refused."""
    people = factories.make_bindings(count)
    data = {"amount2": "39.80元"}
    old = notify(people, template, lambda user: {"thing1": f"给{user.username}", **data})
    refused = old.logs.order_by("pk")[1:].values_list("pk", flat=True)
    SendLog.objects.filter(pk__in=list(refused)).update(
        status="failed", errcode=47003, errmsg="argument invalid!", due_at=None
    )
    first = old.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=first.pk).update(status="delivered", due_at=None)
    return old


def chinese(device: dict[str, Any]) -> dict[str, Any]:
    return {**device, "locale": "zh-CN"}


@devices
def test_correct_a_value_and_send_it_to_those_who_were_refused(
    site: str, template: MessageTemplate, open_browser: Any, device: dict[str, Any]
) -> None:
    """Three clicks from the advice to the sent message; each person's own goods stay. The page then
    offers nobody a second time.
    """
    old = personal(template)
    page = open_browser(chinese(device), "boss")
    hand = Hand(page, site, old)
    hand.press("修改后重发")
    page.get_by_text("“订单支付成功通知 #").first.wait_for()
    assert page.get_by_label("商品", exact=True).input_value() == ""
    page.locator("[data-wechat-card]").get_by_text("给user2").wait_for()
    assert misfits(page) == []
    page.get_by_label("金额", exact=True).fill("49.80元")
    page.locator("[data-wechat-card]").get_by_text("49.80元").wait_for()
    hand.review_and_send("立即发送 2 条消息")
    assert hand.clicks == 3
    with DATABASE:
        new = Notification.objects.latest("pk")
        got = {row.openid: row.merged_data for row in new.logs.all()}
        assert {openid: data["thing1"]["value"] for openid, data in got.items()} == {
            factories.openid(2): "给user2",
            factories.openid(3): "给user3",
        }
        assert {data["amount2"]["value"] for data in got.values()} == {"49.80元"}
    page.goto(f"{site}{ADMIN}notification/compose/?earlier={old.pk}&outcome=failed")
    page.get_by_text("另有 2 条已经重发过").wait_for()


@devices
def test_duplicate_for_the_same_people(
    site: str, template: MessageTemplate, open_browser: Any, device: dict[str, Any]
) -> None:
    """Three clicks, and nothing typed."""
    people = factories.make_bindings(3)
    old = notify(people, template, {"thing1": "秋季校服", "amount2": "99元"}, title="校服")
    page = open_browser(chinese(device), "boss")
    hand = Hand(page, site, old)
    hand.press("复制")
    assert page.get_by_label("商品", exact=True).input_value() == "秋季校服"
    hand.review_and_send("立即发送 3 条消息")
    assert hand.clicks == 3
    with DATABASE:
        new = Notification.objects.latest("pk")
        assert (new.pk != old.pk, new.data, new.logs.count()) == (True, old.data, 3)


@devices
def test_reschedule_what_is_planned(
    site: str, template: MessageTemplate, open_browser: Any, device: dict[str, Any]
) -> None:
    """Two clicks, and the new time."""
    tomorrow = timezone.now() + timedelta(days=1)
    data = {"thing1": "秋季校服", "amount2": "99元"}
    old = notify(factories.make_bindings(3), template, data, send_at=tomorrow)
    later = timezone.localtime(tomorrow + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    page = open_browser(chinese(device), "boss")
    hand = Hand(page, site, old)
    hand.press("调整发送时间")
    assert misfits(page) == []
    page.locator("[name=send_at]").fill(later)
    hand.press("调整发送时间")
    page.get_by_text("有 3 条消息将在").wait_for()
    assert hand.clicks == 2
    with DATABASE:
        old.refresh_from_db()
        assert old.send_at is not None
        assert timezone.localtime(old.send_at).strftime("%Y-%m-%dT%H:%M") == later


@devices
def test_edit_what_has_not_left(
    site: str, template: MessageTemplate, open_browser: Any, device: dict[str, Any]
) -> None:
    """Three clicks and a value: two of three get the new one, and each page leads to the other."""
    tomorrow = timezone.now() + timedelta(days=1)
    data = {"thing1": "秋季校服", "amount2": "99元"}
    old = notify(factories.make_bindings(3), template, data, send_at=tomorrow)
    gone = old.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=gone.pk).update(status="sent", due_at=None)
    page = open_browser(chinese(device), "boss")
    hand = Hand(page, site, old)
    hand.press("修改还没发出的")
    page.get_by_label("商品", exact=True).fill("冬季校服")
    hand.review_and_send("定时发送 2 条消息")
    assert hand.clicks == 3
    with DATABASE:
        new = Notification.objects.latest("pk")
        assert new.replaces == old
        assert (old.counts["sent"], old.counts["cancelled"]) == (1, 2)
    page.locator(".field-replaces_link a").click()
    page.wait_for_url(f"**/notification/{old.pk}/change/")
    page.locator(".field-replaced_by_link a").click()
    page.wait_for_url(f"**/notification/{new.pk}/change/")
    assert misfits(page) == []


@devices
def test_a_draft_survives_the_session(
    site: str, template: MessageTemplate, open_browser: Any, device: dict[str, Any]
) -> None:
    """Saved on one machine, found where composing begins on another, and gone once it is sent."""
    factories.make_bindings(3)
    page = open_browser(chinese(device), "boss")
    page.goto(f"{site}{ADMIN}notification/compose/?template={template.pk}")
    page.get_by_label("商品", exact=True).fill("冬季校服")
    page.locator("[name=everyone]").check()
    page.get_by_role("button", name="存为草稿").click()
    page.get_by_text("已存为草稿").wait_for()
    other = open_browser(chinese(device), "boss")
    other.goto(f"{site}{ADMIN}notification/compose/")
    assert misfits(other) == []
    other.locator(".wechat-drafts a").first.click()
    assert other.get_by_label("商品", exact=True).input_value() == "冬季校服"
    other.get_by_label("金额", exact=True).fill("99元")
    other.locator("[name=_review]").last.click()
    other.locator("[name=_send]").click()
    other.get_by_role("progressbar").wait_for()
    with DATABASE:
        assert Notification.objects.get().logs.count() == 3
        assert not Draft.objects.exists()


def test_it_all_works_without_scripts(
    site: str, template: MessageTemplate, open_browser: Any, without_scripts: Any
) -> None:
    """The line with the earlier people, the draft, and the sending."""
    old = personal(template)
    page = without_scripts(open_browser(chinese(DESKTOP), "boss"))
    hand = Hand(page, site, old)
    hand.press("修改后重发")
    assert page.locator("[name=earlier]").is_checked()
    hand.press("存为草稿")
    page.get_by_text("已存为草稿").wait_for()
    assert page.locator("[name=earlier]").is_checked()
    page.locator("[name=_review]").last.click()
    page.locator("[name=_send]").click()
    page.locator(".messagelist").wait_for()
    with DATABASE:
        assert Notification.objects.latest("pk").logs.count() == 2
        assert not Draft.objects.exists()


def test_by_keyboard_alone(site: str, template: MessageTemplate, open_browser: Any) -> None:
    """From the link to the sent message, every step by Tab and Enter."""
    old = personal(template)
    page = open_browser(chinese(DESKTOP), "boss")
    page.goto(f"{site}{ADMIN}notification/{old.pk}/change/")
    page.locator(".wechat-again").first.focus()
    page.keyboard.press("Enter")
    page.locator("[name=earlier]").wait_for()
    page.locator("[name=earlier]").focus()
    page.keyboard.press("Space")
    assert not page.locator("[name=earlier]").is_checked()
    page.keyboard.press("Space")
    page.locator("input[name=_review]").focus()
    page.keyboard.press("Enter")
    page.locator("[name=_send]").focus()
    page.keyboard.press("Enter")
    page.get_by_role("progressbar").wait_for()
    with DATABASE:
        assert Notification.objects.latest("pk").logs.count() == 2
