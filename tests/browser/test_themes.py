"""The app's admin in the themes that teams put on Django's own.

A theme replaces the admin's templates for the whole process, so each site has one of its own.
Neither theme works under a strict content security policy; what is ours does (test_admin.py).
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import pytest

from tests import factories
from tests.browser.conftest import DESKTOP, settle
from tests.site_process import SiteProcess
from wechat_notify.sandbox.server import Sandbox

NARROW = {"width": 390, "height": 844}
PACKAGES = {"unfold": "django-unfold", "simpleui": "django-simpleui"}
# What simpleui's script says when one of the links it put among the actions is clicked, any app's.
SIMPLEUIS_OWN = "reading 'action_url'"
TEMPLATE = {
    "template_id": "order_paid".ljust(43, "_"),
    "title": "订单支付成功通知",
    "content": factories.ORDER_CONTENT,
}


class Site(SiteProcess):
    """The site, and the fake WeChat that it sends to."""

    def __init__(self, theme: str, wechat: Sandbox, database: str) -> None:
        super().__init__(
            "tests.theme_site",
            DJANGO_SETTINGS_MODULE="tests.theme_settings",
            THEME=theme,
            THEME_DATABASE_URL=database,
            THEME_APP_ID=wechat.app_id,
            THEME_APP_SECRET=wechat.app_secret,
            THEME_API_BASE=wechat.url,
        )
        self.theme = theme
        self.wechat = wechat
        self.url = f"http://127.0.0.1:{self.port}"
        self.pages: dict[str, str] = {}


@pytest.fixture(scope="module", params=PACKAGES)
def running(request: Any, tmp_path_factory: Any) -> Iterator[Site]:
    theme = request.param
    if find_spec(theme) is None:
        pytest.skip(f"{PACKAGES[theme]} is not installed")
    database = f"sqlite:///{tmp_path_factory.mktemp(theme)}/site.sqlite3"
    with (
        Sandbox(any_openid=True, templates=[TEMPLATE]) as wechat,
        closing(Site(theme, wechat, database)) as site,
    ):
        yield site


@pytest.fixture
def site(running: Site) -> Site:
    """The same process with everything as it was in the beginning."""
    running.pages = {name: running.url + page for name, page in running.ask("everything").items()}
    running.wechat.clear()
    return running


@pytest.fixture
def open_browser(complaints: list[str], new_context: Any, site: Site) -> Callable[..., Any]:
    """A browser in which the boss has signed in; an error in any script fails the test."""

    def fail(error: Any) -> None:
        if SIMPLEUIS_OWN not in str(error):
            complaints.append(str(error))

    def complain(message: Any) -> None:
        # Every browser asks for a favicon; any other address is the server's to explain.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    def open_page(**options: Any) -> Any:
        page = new_context(**DESKTOP, **options).new_page()
        page.on("pageerror", fail)
        page.on("console", complain)
        page.goto(site.pages["logs"])
        page.locator("input[name=username]").fill("boss")
        page.locator("input[name=password]").fill("letmein")
        page.locator("input[name=password]").press("Enter")
        page.wait_for_url(site.pages["logs"])
        return page

    return open_page


# What a person must see on each page: where it stands, and the buttons at the top by their names.
ANSWERS = (".wechat-answers .default", ".wechat-answers a.button")
SEEN: dict[str, tuple[str, ...]] = {
    # Those of simpleui are frames, without a place for what is ours.
    "index": (),
    "app": (),
    "logs": (".wechat-badge", ".wechat-openid", ".wechat-rest a.button"),
    "log": (".wechat-badge", ".wechat-explanation", ".wechat-timeline", ".wechat-card"),
    "explain": ANSWERS,
    "dashboard": (".wechat-answers .button", ".wechat-badge", ".wechat-chart", ".wechat-causes"),
    "notifications": (".wechat-badge", ".wechat-rest a.button"),
    "choose": ("#wechat-term", ".wechat-tile .wechat-card", ".wechat-tile .button"),
    "compose": ("#id_value_thing2", "#wechat-user-search", ".wechat-card", ".submit-row .default"),
    "duplicate": ("#id_value_thing2", "[name=earlier]", ".wechat-card", ".submit-row .default"),
    "again": ("#id_value_thing2", "[name=earlier]", ".wechat-card", ".submit-row .default"),
    "drafts": ("td.field-on_template",),
    "notification": ("[role=progressbar]", ".wechat-causes", ".wechat-answers a.button"),
    "reschedule": (*ANSWERS, "[name=send_at]"),
    "not reached": (".wechat-missed .wechat-badge", ".wechat-answers a.button"),
    "resend": (*ANSWERS, ".wechat-warnings", ".wechat-items li"),
    "resend a cause": (*ANSWERS, ".wechat-items li"),
    "cancel": ANSWERS,
    "held": ("[role=progressbar]", ".wechat-badge", ".wechat-answers a.button"),
    "to approve": (".wechat-causes a",),
    "approve": (*ANSWERS, ".wechat-items li", ".wechat-card"),
    "refuse": (*ANSWERS, "textarea"),
    "templates": (".wechat-badge", ".wechat-rest a.button"),
    "template": ("#id_name", ".wechat-badge", ".wechat-fields", ".wechat-card"),
    "gallery": (".wechat-gallery a", ".wechat-gallery .wechat-card"),
    "sync": (*ANSWERS, "input[name=account]"),
    "bindings": ("td.field-send_log a",),
    "add binding": (".field-user .select2-selection", "#id_openid"),
    "binding": (".field-send_log a, a[href*='sendlog/?binding']",),
    "poster": (".wechat-poster__code svg", ".wechat-invited__link", ".wechat-answers .button"),
    "invite": (*ANSWERS, ".wechat-items li"),
    "recipients": ("td.field-chosen",),
    "saved": ("#id_name", ".wechat-items li"),
    "alerts": (".wechat-badge",),
    # By its words: django-unfold names no fields.
    "alert": (".wechat-badge", "text=The official account is frozen.", "text=account frozen rid"),
    "rules": (".wechat-badge", "td.field-said"),
    "rule_add": ("#id_name", "#id_model", "#wechat-add-test", ".submit-row .default"),
    "rule": (
        ".wechat-sentence b",
        "#id_test-0-field",
        "#id_text_thing2",
        ".wechat-card",
        ".wechat-would .wechat-badge",
        ".wechat-rule-tools a.button",
        ".submit-row .default",
    ),
    "rule_try": (".wechat-sentence b", "#id_object", ".wechat-would .wechat-badge", ".wechat-card"),
    "rule_switch": ANSWERS,
    "rule_asked": (".wechat-sentence b",),
    "rule_approve": ANSWERS,
    "rule_refuse": (*ANSWERS, "textarea"),
    "rule_withdraw": ANSWERS,
    "rule_stopped": (".errornote", ".wechat-items li", ".wechat-answers a.button"),
    "firings": (".wechat-badge", "td.field-about"),
    "firing": (".wechat-badge", ".wechat-would__people li"),
}
BUTTONS = {
    "logs": ("Dashboard",),
    "log": ("Explain this failure",),
    "notifications": ("Compose and send",),
    "notification": ("Pause", "Cancel sending", "Download CSV"),
    "templates": ("Sync with WeChat", "Gallery"),
    "template": ("Compose and send",),
    "recipients": ("Compose and send",),
    "saved": ("Compose and send",),
    "rule": ("Try it", "Switch on", "Switch to dry run", "What it did"),
    "rule_try": ("Change it", "Switch on"),
}
TITLES = {
    "explain": "Explain this failure",
    "dashboard": "Dashboard",
    "choose": "Compose and send",
    "compose": "Compose and send",
    "not reached": "People not reached",
    "poster": "Poster",
    "resend": "Resend messages",
    "cancel": "Cancel sending",
    "gallery": "Gallery",
    "sync": "Sync with WeChat",
    "rule_add": "Add a rule",
    "rule_switch": "Switch on",
}


def button(page: Any, name: str) -> Any:
    """A button at the top of a page; simpleui makes real ones, with an icon, of those of a list."""
    return page.get_by_role("link", name=name).or_(page.get_by_role("button", name=name)).first


def visit(page: Any, address: str) -> None:
    """Open a page, and look at it when what it asks for by itself has come."""
    assert page.goto(address).status == 200, address
    settle(page)


def look(page: Any, name: str) -> None:
    """Nothing that this page is for is hidden, or covered by something else."""
    if title := TITLES.get(name):
        page.locator("#content").get_by_role("heading", name=title, level=1).wait_for()
    for selector in SEEN[name]:
        page.locator(selector).first.wait_for()
    for selector in (one for one in SEEN[name] if "button" in one or "default" in one):
        page.locator(selector).first.click(trial=True)
    for label in BUTTONS.get(name, ()):
        button(page, label).click(trial=True)


EDGELESS = """() => [...document.querySelectorAll(
    ".wechat-compose input, .wechat-compose textarea, fieldset .vTextField, fieldset textarea"
)].filter((input) => input.checkVisibility({opacityProperty: true})
    && !["checkbox", "radio", "submit"].includes(input.type)
    && getComputedStyle(input).borderTopWidth === "0px").map((input) => input.outerHTML)"""
FITS = "document.documentElement.scrollWidth <= window.innerWidth"


def test_every_page_shows_what_it_is_for(site: Site, open_browser: Any) -> None:
    """On a desktop what matters is there and can be clicked, inputs look like inputs, and nothing
    is wider than a desktop or a phone."""
    page = open_browser()
    for name, address in site.pages.items():
        visit(page, address)
        look(page, name)
        assert page.evaluate(EDGELESS) == [], name
        page.wait_for_function(FITS)  # simpleui's scripts may lay it out a moment later
        page.set_viewport_size(NARROW)
        page.wait_for_function(FITS)
        page.set_viewport_size(DESKTOP["viewport"])


def test_open_alerts_are_found_from_the_first_page(site: Site, open_browser: Any) -> None:
    """On it, where the theme has a place for them; else by the entry of the menu."""
    page = open_browser()
    for name in ("index", "app"):
        page.goto(site.pages[name])
        if site.theme == "simpleui":
            page.get_by_text("Alerts", exact=True).first.wait_for(state="attached")
        else:
            page.locator(".wechat-alerts a").first.click(trial=True)
            for size in (NARROW, DESKTOP["viewport"]):
                page.set_viewport_size(size)
                page.wait_for_function(FITS)


# Links in text have the colour that the theme gives all of them.
OURS = [
    [".wechat-answers"],
    [".wechat-tool"],
    [".wechat-rest"],
    [".wechat-badge"],
    [".wechat-warnings"],
    [".wechat-headline"],
    [".wechat-steps"],
    [".wechat-value"],
    [".wechat-sentence"],
    [".wechat-would"],
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_ours_can_be_read(site: Site, open_browser: Any, scheme: str) -> None:
    """Whether the theme follows the system into the dark or stays light: the app goes with it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_browser(color_scheme=scheme)
    faults = []
    for name in ("logs", "notification", "compose", "resend", "rule", "rule_try"):
        visit(page, site.pages[name])
        where = [one for one in OURS if page.locator(one[0]).count()]
        options = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
        for fault in axe.run(page, {"include": where}, options).response["violations"]:
            faults += [(name, node["target"], node["failureSummary"]) for node in fault["nodes"]]
    assert faults == []


def run_action(page: Any, site: Site, label: str) -> None:
    """Choose an action for the ticked rows, each theme's own way."""
    if site.theme == "simpleui":
        page.get_by_role("button", name=label).click()
        return
    page.locator("select[name=action]").select_option(label=label)
    page.get_by_role("button", name="Run", exact=True).click()


def test_messages_are_held_and_sent_again(site: Site, open_browser: Any) -> None:
    """Pause and resume, end an account's rest, and resend from the list."""
    page = open_browser()
    page.goto(site.pages["notification"])
    button(page, "Pause").click()
    page.locator(".wechat-answers .default").click()
    page.get_by_text("2 messages are held.").first.wait_for()
    button(page, "Resume").click()
    page.locator(".wechat-answers .default").click()
    page.get_by_text("2 messages go on.").first.wait_for()

    page.goto(site.pages["logs"])
    page.get_by_role("link", name="Try again now").click()
    page.get_by_role("button", name="Try again now").click()
    page.get_by_text("no longer rests").first.wait_for()
    page.get_by_role("checkbox", name="user12 · failed").check()
    run_action(page, site, "Resend selected messages")
    page.get_by_role("button", name="Resend 1 message").click()
    page.get_by_text("1 message was resent").first.wait_for()
    site.ask("deliver")
    assert factories.openid(12) in {message.openid for message in site.wechat.messages}


def test_a_message_is_composed_for_two_people(site: Site, open_browser: Any) -> None:
    """From the list to the phone, with the card beside the form and people found by name."""
    page = open_browser()
    page.goto(site.pages["notifications"])
    button(page, "Compose and send").click()
    page.get_by_role("button", name="Use “订单支付成功通知”").click()
    page.get_by_label("订单编号", exact=True).fill("2026112399")
    page.get_by_label("商品名称", exact=True).fill("秋季校服")
    page.locator("[data-wechat-card]").get_by_text("秋季校服").wait_for()
    for person in ("user11", "user12"):
        page.get_by_role("combobox", name="People").press_sequentially(person)
        page.get_by_role("option", name=person).click()
        page.locator("#wechat-chosen").get_by_text(person, exact=True).wait_for()
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("2 messages will be sent").wait_for()
    page.get_by_role("button", name="Send 2 messages now").click()
    page.get_by_text("It is on its way").first.wait_for()
    page.get_by_text("0 of 2 done (0 %)").wait_for()


def test_people_and_templates_are_brought_up_to_date(site: Site, open_browser: Any) -> None:
    """Ask WeChat who follows, from the list; sync the templates, account after account."""
    page = open_browser()
    page.goto(site.pages["bindings"])
    page.get_by_role("checkbox", name="user1 ·").check()
    run_action(page, site, "Ask WeChat whether they follow")
    page.get_by_role("button", name="Ask WeChat").click()
    page.get_by_text("1 person was asked about").first.wait_for()

    page.goto(site.pages["templates"])
    button(page, "Sync with WeChat").click()
    page.get_by_role("button", name="Sync with WeChat").click()
    page.get_by_text("Account default is in line with WeChat").wait_for()
    page.get_by_role("link", name="To the templates").click()
    page.wait_for_url(site.pages["templates"])
