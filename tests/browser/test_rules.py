"""A rule as a school's secretary writes it: from the first choice to the phone, and off again."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP, PHONE, fits, follow
from tests.browser.test_admin import deliver, serious_faults
from tests.library.models import Loan
from tests.rules_pages import make_loan, make_rule
from wechat_notify.models import MessageTemplate, Notification
from wechat_notify.rules.models import Firing, Rule

NARROW = {"viewport": {"width": 390, "height": 844}}
CHINESE = {**DESKTOP, "locale": "zh-CN"}


@pytest.fixture
def site(browsers_language: None, site: str, settings: Any, wechat: Any) -> str:
    """The same site with Django's admin; its messages wait for a worker."""
    settings.ROOT_URLCONF = "tests.urls"
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
    }
    wechat.account.any_openid = True
    wechat.account.callback_url = ""  # no receipts: each row stays "sent"
    get_user_model().objects.create_superuser("boss", password="letmein")
    return site


@pytest.fixture
def browsers_language(settings: Any) -> None:
    """The admin speaks the language of the browser."""
    before = settings.MIDDLEWARE
    after_session = before.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    language = "django.middleware.locale.LocaleMiddleware"
    settings.MIDDLEWARE = [*before[:after_session], language, *before[after_session:]]


@pytest.fixture
def template(wechat: Any, transactional_db: None) -> MessageTemplate:
    made = factories.make_template()
    wechat.add_template(factories.sandbox_template(made))
    return made


@pytest.fixture
def loan(template: MessageTemplate) -> Loan:
    """Alice has asked for a book."""
    alice = factories.make_user("alice", first_name="Alice", last_name="Liddell")
    factories.make_binding(alice, 1)
    return make_loan(borrower=alice, title="昆虫记", number="2026112701", status="wanted")


def sign_in(page: Any, site: str) -> None:
    page.goto(f"{site}/admin/wechat_notify_rules/rule/")
    page.locator("[name=username]").fill("boss")
    page.locator("[name=password]").fill("letmein")
    page.locator("[type=submit]").click()
    page.locator("#changelist").wait_for()


def become(loan: Loan, status: str) -> None:
    """What the site's own code does."""
    with DATABASE:
        found = Loan.objects.get(pk=loan.pk)
        found.status = status
        found.save()


def confirm(page: Any, name: str) -> None:
    """Press the button on the rule's page, and the one of the page that asks."""
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("button", name=name, exact=True).click()


def sentence(page: Any, text: str) -> None:
    page.locator("[data-rule-show=sentence]").get_by_text(text, exact=True).wait_for()


def write(page: Any) -> None:
    """Fill in the form with what each choice offers next."""
    page.get_by_label("Name", exact=True).fill("Ready to be fetched")
    page.get_by_label("What it is about").select_option(label="Loan")
    page.get_by_label("What happens").select_option(label="changes")
    page.get_by_label("Field", exact=True).select_option(label="Status")
    page.get_by_label("New value").select_option(label="ready to be fetched")
    page.get_by_label("borrower").check()
    sentence(page, "When the Status of a loan becomes ready to be fetched, tell borrower")
    page.get_by_label("Template", exact=True).select_option(label="订单支付成功通知 (order_paid)")
    page.get_by_label("订单编号").click()
    page.get_by_role("button", name="Number", exact=True).click()
    page.get_by_label("商品名称").click()
    page.get_by_role("button", name="Title", exact=True).click()
    assert page.get_by_label("商品名称").input_value() == "{{ object.title }}"


@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_from_the_first_choice_to_the_phone_and_off_again(
    site: str, wechat: Any, loan: Loan, open_browser: Any, device: Any
) -> None:
    """A rule is written, tried, run dry, switched on, fires, is found from the message's page, and
    switched off."""
    page, phone = open_browser(device), open_browser(PHONE)
    sign_in(page, site)
    follow(page.get_by_role("link", name="Add rule"))
    write(page)
    page.locator("[data-rule-show=card]").get_by_text("昆虫记").wait_for()
    page.locator("[data-rule-show=would]").get_by_text("Status is “wanted”.").wait_for()
    assert fits(page)
    page.get_by_role("button", name="Save and try it").click()

    page.get_by_text("“Ready to be fetched” is saved. It does nothing").wait_for()
    assert fits(page)
    confirm(page, "Switch to dry run")
    page.get_by_text("is in dry run: it records").wait_for()
    become(loan, "ready")
    page.get_by_role("link", name="What it did").click()
    page.get_by_role("link", name="2026").or_(page.locator("th.field-fired_at a")).first.click()
    page.get_by_text("Alice Liddell").wait_for()
    with DATABASE:
        assert Firing.objects.get().is_dry_run
        assert not Notification.objects.exists()

    page.get_by_role("link", name="Ready to be fetched").first.click()
    page.get_by_role("link", name="Switch on").click()
    page.get_by_text("it would have sent 1 message (people: 1).").wait_for()
    page.get_by_role("button", name="Switch on").click()
    page.get_by_text("“Ready to be fetched” is on.").wait_for()
    become(loan, "lent")
    become(loan, "ready")
    deliver()
    phone.goto(f"{wechat.url}/phone/{factories.openid(1)}/")
    phone.get_by_text("昆虫记").wait_for()

    with DATABASE:
        notification = Notification.objects.get()
    page.goto(f"{site}/admin/wechat_notify/notification/{notification.pk}/change/")
    page.get_by_text("Made by").wait_for()
    page.get_by_role("link", name="Ready to be fetched").click()
    confirm(page, "Switch off")
    page.get_by_text("“Ready to be fetched” is off.").wait_for()
    become(loan, "lent")
    become(loan, "ready")
    deliver()
    assert len(wechat.messages) == 1
    page.get_by_role("link", name="History").click()
    page.get_by_text("State: on → off").wait_for()


def test_what_is_wrong_is_said_while_one_types(
    site: str, loan: Loan, template: MessageTemplate, open_browser: Any
) -> None:
    """Only where somebody has been already; and it goes when it is right again."""
    page = open_browser(DESKTOP)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify_rules/rule/add/")
    write(page)
    text, said = page.get_by_label("商品名称"), page.locator("#id_text_thing2_said")
    text.fill("{{ object.door_code }}")
    said.get_by_text("cannot be used here").wait_for()
    assert text.get_attribute("aria-invalid") == "true"
    text.fill("x" * 25)
    said.get_by_text("Must be at most 20 characters; this has 25").wait_for()
    page.get_by_text("25 / 20").wait_for()
    text.fill("{{ object.title }}")
    page.locator("#id_text_thing2_said:empty").wait_for(state="attached")
    assert text.get_attribute("aria-invalid") is None
    name = page.locator("[data-rule-input=name]")
    name.locator("input").fill("")
    name.get_by_text("This field is required.").wait_for()
    assert page.locator(".wechat-said:not(:empty)").count() == 1
    with DATABASE:
        assert not Rule.objects.exists()


def test_conditions_by_keyboard(
    site: str, loan: Loan, template: MessageTemplate, open_browser: Any
) -> None:
    """A row is added, filled in and removed without a mouse, and the sentence follows."""
    page = open_browser(DESKTOP)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify_rules/rule/add/")
    write(page)
    start = "When the Status of a loan becomes ready to be fetched"
    page.get_by_role("button", name="Add a condition").press("Enter")
    page.locator("#id_test-0-field:focus").wait_for()
    page.keyboard.press("D")  # a browser forgets the first letter of several after a second
    page.locator("#id_test-0-value[type=date]").wait_for()
    assert page.locator("#id_test-0-field:focus").count() == 1
    page.locator("#id_test-0-op").select_option(label="is later than")
    page.locator("#id_test-0-value").fill("2026-12-24")
    sentence(page, f"{start}, if Due on is later than 2026-12-24, tell borrower")
    page.get_by_role("button", name="Add a condition").press("Enter")
    page.locator("#id_test-1-field:focus").wait_for()
    page.locator("#id_test-1-field").select_option(label="Copies")
    page.locator("#id_test-1-value").fill("3")
    page.get_by_label("one of them is true").check()
    either = "if Due on is later than 2026-12-24 or Copies is 3"
    sentence(page, f"{start}, {either}, tell borrower")
    page.get_by_role("button", name="Remove condition 1").press("Enter")
    sentence(page, f"{start}, if Copies is 3, tell borrower")
    page.locator("#wechat-add-test:focus").wait_for()


def test_it_works_without_javascript(
    site: str, loan: Loan, template: MessageTemplate, new_context: Any
) -> None:
    """A button shows what can be chosen next; every error and the card are there after saving."""
    page = new_context(**NARROW, java_script_enabled=False).new_page()
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify_rules/rule/add/")
    page.get_by_label("Name", exact=True).fill("Plain")
    page.get_by_label("What it is about").select_option(label="Loan")
    page.get_by_label("What happens").select_option(label="changes")
    page.get_by_role("button", name="Show what can be chosen now").first.click()
    page.get_by_label("Field", exact=True).select_option(label="Status")
    page.get_by_label("borrower").check()
    page.get_by_label("Template", exact=True).select_option(label="订单支付成功通知 (order_paid)")
    page.get_by_role("button", name="Show what can be chosen now").first.click()
    page.get_by_label("New value").select_option(label="ready to be fetched")
    page.get_by_label("订单编号").fill("{{ object.number }}")
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_role("button", name="Remove condition 1").click()
    page.get_by_role("button", name="Save and try it").click()
    page.get_by_text("Please correct the error below.").wait_for()
    page.get_by_label("商品名称").fill("{{ object.title }}")
    page.get_by_role("button", name="Save and try it").click()
    page.get_by_text("“Plain” is saved.").wait_for()
    page.locator(".wechat-card").get_by_text("昆虫记").wait_for()


def test_chinese(site: str, loan: Loan, template: MessageTemplate, open_browser: Any) -> None:
    """A secretary reads back in Chinese what the rule does, and no English is left around it."""
    with DATABASE:
        group = Group.objects.create(name="教职工")
        group.user_set.add(loan.borrower)
        rule = make_rule(template, recipients=[{"group": group.pk}])
    page = open_browser(CHINESE)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify_rules/rule/{rule.pk}/change/")
    sentence(page, "当 loan 的 Status 变为 ready to be fetched 时，通知 “教职工”组")
    page.get_by_label("发生什么").select_option(label="新增")
    sentence(page, "新增 loan 时，通知 “教职工”组")
    page.get_by_role("button", name="保存并试一试").click()
    page.get_by_text("过去 30 天会发送 1 条消息（共 1 人）。").wait_for()
    page.get_by_role("link", name="转为试运行").click()
    page.get_by_role("button", name="转为试运行").click()
    page.get_by_text("在试运行：只记录会发送什么，不发送。").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_everybody_can_read_what_is_said_while_one_types(
    site: str, loan: Loan, template: MessageTemplate, new_context: Any, device: Any, scheme: str
) -> None:
    """axe finds no serious fault with errors, counters, conditions and the preview on the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = new_context(**device, color_scheme=scheme, bypass_csp=True).new_page()
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify_rules/rule/add/")
    write(page)
    page.get_by_role("button", name="Add a condition").click()
    page.locator("#id_test-0-field").select_option(label="Copies")
    page.locator("#id_test-0-value").fill("many")
    page.get_by_text("“many” is not a number.").wait_for()
    page.get_by_label("商品名称").fill("x" * 25)
    page.get_by_text("25 / 20").wait_for()
    assert fits(page)
    assert serious_faults(axe, page) == []
