"""The admin as people use it: a bar that fills, a failure that is opened and resent, and pages
that everybody can read.
"""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests import admin_everything, factories
from tests.browser.conftest import DATABASE, DESKTOP, PHONE, fits, follow, held, settle
from wechat_notify.models import MessageTemplate, OpenIDBinding, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import notify

NARROW = {"viewport": {"width": 390, "height": 844}}
TEXTS = admin_everything.TEXTS
ONLY_OPTION = """(text) => {
  const options = Array.from(document.querySelectorAll("[role=option]"), (one) => one.innerText);
  return options.length === 1 && options[0] === text;
}"""


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    """The same site with Django's admin; its messages wait for a worker, and are tried once."""
    settings.ROOT_URLCONF = "tests.urls"
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
        "MAX_ATTEMPTS": 1,
    }
    wechat.account.any_openid = True
    get_user_model().objects.create_superuser("boss", password="letmein")
    return site


@pytest.fixture
def template(wechat: Any, transactional_db: None) -> MessageTemplate:
    made = factories.make_template()
    wechat.add_template(factories.sandbox_template(made))
    return made


def deliver(**options: int) -> None:
    """What a worker does, while nobody else is in the database."""
    with DATABASE:
        engine.deliver(**options)


def sign_in(page: Any, site: str) -> None:
    page.goto(f"{site}/admin/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill("letmein")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Log out").or_(
        page.get_by_role("button", name="Log out")
    ).first.wait_for()


def test_watching_a_notification_and_resending_what_failed(
    site: str, wechat: Any, template: MessageTemplate, open_browser: Any
) -> None:
    """The bar fills while the page is open, the failure is explained, and resending it brings the
    card to the phone."""
    unlucky = factories.openid(77)
    wechat.fail(-1, openid=unlucky, times=None)
    notification = notify(factories.make_bindings(200), template, TEXTS)
    page, phone = open_browser(DESKTOP), open_browser(PHONE)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/notification/{notification.pk}/change/")
    bar = page.get_by_role("progressbar")
    page.get_by_text("0 of 200 done (0 %)").wait_for()
    deliver(limit=120)
    page.get_by_text("120 of 200 done (60 %)").wait_for()
    assert bar.get_attribute("aria-valuenow") == "60"
    deliver()
    page.get_by_text("All 200 messages are done.").wait_for()
    assert bar.get_attribute("aria-valuenow") == "100"
    panel = page.get_by_role("region", name="Progress")
    assert "WeChat is busy." in panel.inner_text()

    row = panel.get_by_role("row", name="WeChat is busy.")
    row.get_by_role("link", name="1", exact=True).click()
    page.get_by_role("link", name="user77").click()
    assert "WeChat is busy." in page.locator(".field-why").inner_text()
    page.get_by_role("link", name="Explain this failure").click()
    page.get_by_role("button", name="Ask WeChat").click()
    page.get_by_text("127.0.0.1").wait_for()
    page.get_by_role("link", name="Back to the message").click()

    wechat.clear_faults()
    page.locator(".field-notification_link").get_by_role("link").click()
    page.get_by_role("link", name="Resend the 1 that can be resent").click()
    page.get_by_role("button", name="Resend 1 message").click()
    page.get_by_text("1 message was resent").wait_for()
    deliver()
    with DATABASE:
        assert SendLog.objects.get(resend_of__isnull=False).openid == unlucky
    phone.goto(f"{wechat.url}/phone/{unlucky}/")
    phone.get_by_text("手工羊毛围巾").wait_for()


@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_resending_says_first_who_will_not_get_it(
    site: str, template: MessageTemplate, open_browser: Any, device: dict[str, Any]
) -> None:
    """The number on the button is that of the messages that go out; the others stand there with
    the reason."""
    bindings = factories.make_bindings(3)
    notification = notify([*bindings, factories.make_user("unbound")], template, TEXTS)
    notification.logs.filter(status="pending").update(status="failed", due_at=None)
    OpenIDBinding.objects.filter(pk=bindings[0].pk).update(subscribed=False)
    page = open_browser(device)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/sendlog/")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Resend selected messages")
    page.get_by_role("button", name="Go", exact=True).click()
    page.get_by_text("2 messages will be sent again.").wait_for()
    page.get_by_text("1 person does not get it: This user has not bound WeChat.").wait_for()
    page.get_by_text("unbound", exact=True).wait_for()
    page.get_by_text("1 person does not get it: This person does not follow").click()
    page.locator(".wechat-left-out").get_by_text("user1").wait_for()
    assert fits(page)
    page.get_by_role("button", name="Resend 2 messages").click()
    page.get_by_text("2 messages were resent").wait_for()


def test_a_binding_is_added_for_a_person_found_by_typing(site: str, open_browser: Any) -> None:
    """By keyboard: a name without its blank, Enter, the openid, and save."""
    teacher = factories.make_user("teacher", last_name="王", first_name="老师")
    factories.make_user("other", last_name="李", first_name="老师")
    page = open_browser(DESKTOP)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/openidbinding/add/")
    page.locator(".field-user .select2-selection").press("Enter")
    page.get_by_role("option", name="李老师 (other)").wait_for()
    page.locator(".select2-search__field").press_sequentially("老师 王")
    # Of the answers to a part of it, each names the other one as well.
    page.wait_for_function(ONLY_OPTION, arg="王老师 (teacher)")
    page.locator(".select2-search__field").press("Enter")
    page.locator(".select2-selection__rendered", has_text="王老师 (teacher)").wait_for()
    page.locator("#id_openid").fill(factories.openid(1))
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("was added successfully").wait_for()
    with DATABASE:
        assert OpenIDBinding.objects.get().user == teacher


def test_syncing_shows_how_far_it_is(site: str, wechat: Any, open_browser: Any) -> None:
    """While WeChat takes its time the page says which account it asks about and how many are done;
    in the end each is told of, the one that failed too."""
    page = open_browser(DESKTOP)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/messagetemplate/")
    follow(page.get_by_role("link", name="Sync with WeChat").first)
    with held(page, "**/sync/", lambda request: request.method == "POST") as answers:
        page.get_by_role("button", name="Sync with WeChat").click()
        page.get_by_text("default: Asking WeChat…").wait_for()
        bar = page.get_by_role("progressbar", name="Sync with WeChat")
        assert bar.get_attribute("aria-valuenow") == "0"
        answers.wait()
        answers.release()
        page.get_by_text("other: Asking WeChat…").wait_for()
        assert bar.get_attribute("aria-valuenow") == "50"
    page.get_by_text("Done.").wait_for()
    assert bar.get_attribute("aria-valuenow") == "100"
    told = page.locator(".wechat-sync__accounts li").all_inner_texts()
    assert [text.partition(":")[0] for text in told] == [
        "Account default is in line with WeChat",
        "other",
    ]
    page.get_by_role("link", name="To the templates").click()
    page.get_by_role("link", name="Gallery").wait_for()
    with DATABASE:
        assert MessageTemplate.objects.exists()


def test_the_page_still_helps_without_javascript(
    site: str, template: MessageTemplate, new_context: Any
) -> None:
    """The panel is there, and a link loads it again."""
    notification = notify(factories.make_bindings(3), template, TEXTS)
    page = new_context(**DESKTOP, java_script_enabled=False).new_page()
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/notification/{notification.pk}/change/")
    deliver()
    page.get_by_role("link", name="Reload").click()
    page.get_by_text("All 3 messages are done.").wait_for()
    page.goto(f"{site}/admin/wechat_notify/sendlog/dashboard/")
    page.get_by_role("link", name="Ask WeChat").click()
    page.get_by_text("of 100000 used").wait_for()


@pytest.fixture
def everything(site: str, template: MessageTemplate) -> list[str]:
    """The addresses of every page, with something of every kind on them."""
    return [site + page for page in admin_everything.make(template).values()]


@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_every_page_fits_and_needs_no_inline_script_or_style(
    site: str, everything: list[str], open_browser: Any, device: dict[str, Any]
) -> None:
    """Under the strict policy nothing is blocked, and no page is wider than the screen."""
    page = open_browser(device)
    sign_in(page, site)
    for address in everything:
        page.goto(address)
        settle(page)
        assert fits(page), address


# The card is a picture of WeChat's own, grey labels included; the rest is Django's.
NOT_OURS = [
    [".wechat-chat"],
    ["div.breadcrumbs"],
    ["#searchbar"],
    ["#changelist-search .small"],
    [".select2-selection__rendered"],
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_everybody_can_read_the_pages(
    site: str, everything: list[str], new_context: Any, device: dict[str, Any], scheme: str
) -> None:
    """axe finds no serious fault in either theme, on a desktop and on a phone."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # axe itself puts styles into the page.
    page = new_context(**device, color_scheme=scheme, bypass_csp=True).new_page()
    sign_in(page, site)
    faults = []
    for address in everything:
        page.goto(address)
        settle(page)
        where = address.removeprefix(site)
        faults += [(where, *fault) for fault in serious_faults(axe, page)]
    assert faults == []


def serious_faults(axe: Any, page: Any) -> list[tuple[str, Any, str]]:
    """What axe finds: the rule, the element, and what to do about it."""
    options = {"resultTypes": ["violations"]}
    page.wait_for_load_state()
    found = axe.run(page, {"exclude": NOT_OURS}, options).response["violations"]
    return [
        (fault["id"], node["target"], node["failureSummary"])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]
