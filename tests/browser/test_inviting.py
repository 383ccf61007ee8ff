"""From a message that was skipped to a person who gets it: the invitation, as people use it."""

from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests import admin_everything, factories
from tests.browser.conftest import DATABASE, DESKTOP, PHONE
from tests.browser.measures import misfits
from tests.browser.test_admin import serious_faults, sign_in
from tests.sandbox_client import WANG, ZHOU
from wechat_notify.models import MessageTemplate, OpenIDBinding, SendLog
from wechat_notify.services import notify

NARROW = {"viewport": {"width": 390, "height": 844}}
DARK = {**DESKTOP, "color_scheme": "dark"}
A4 = {"width": 794, "height": 1123}


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    """The same site with Django's admin, known to people by its own address."""
    settings.ROOT_URLCONF = "tests.urls"
    settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "SITE_URL": site}
    get_user_model().objects.create_superuser("boss", password="letmein")
    return site


@pytest.fixture
def template(wechat: Any, transactional_db: None) -> MessageTemplate:
    made = factories.make_template()
    wechat.add_template(factories.sandbox_template(made))
    return made


@pytest.fixture
def skipped(template: MessageTemplate) -> SendLog:
    """A message to somebody who has not bound WeChat."""
    person = factories.make_user("wangmin", last_name="王", first_name="敏")
    log = notify(person, template, admin_everything.TEXTS).logs.get()
    assert log.status == "skipped"
    return log


def address(site: str, log: SendLog) -> str:
    return f"{site}/admin/wechat_notify/sendlog/{log.pk}/change/"


def invite(page: Any, site: str, log: SendLog) -> str:
    """Two clicks from the message; the link on the card comes back."""
    page.goto(address(site, log))
    page.get_by_role("link", name="Invite", exact=True).click()
    page.get_by_role("button", name="Make 1 invitation").click()
    page.get_by_role("img", name="QR code for 王敏").wait_for()
    return str(page.locator(".wechat-invited__link").inner_text())


def open_in_wechat(phone: Any, wechat: Any, openid: str, link: str) -> None:
    """Scan the card with this person's phone."""
    phone.goto(f"{wechat.url}/phone/{openid}/")
    phone.goto(link)


def bindings() -> dict[str, tuple[str, bool]]:
    with DATABASE:
        rows = OpenIDBinding.objects.select_related("user")
        return {row.openid: (row.user.username, row.subscribed) for row in rows}


def test_from_a_skipped_message_to_a_bound_person(
    site: str, wechat: Any, skipped: SendLog, open_browser: Any
) -> None:
    """Two clicks invite, one tap binds a follower, two clicks resend; and the message is there."""
    page, phone = open_browser(DESKTOP, "boss"), open_browser(PHONE)
    link = invite(page, site, skipped)
    open_in_wechat(phone, wechat, WANG, link)
    phone.get_by_text("王敏").wait_for()
    phone.get_by_role("link", name="Bind this WeChat").click()
    phone.get_by_role("heading", name="WeChat is bound").wait_for()
    assert bindings() == {WANG: ("wangmin", True)}

    page.goto(address(site, skipped))
    page.get_by_role("link", name="Resend").click()
    page.get_by_role("button", name="Resend 1 message").click()
    page.get_by_text("1 message was resent").wait_for()
    phone.goto(f"{wechat.url}/phone/{WANG}/")
    phone.get_by_text("手工羊毛围巾").wait_for()


def test_who_does_not_follow_is_led_on(
    site: str, wechat: Any, skipped: SendLog, open_browser: Any
) -> None:
    """Bound by one tap; then the page shows a code, and pressing it long follows the account."""
    page, phone, camera = open_browser(DESKTOP, "boss"), open_browser(PHONE), open_browser(PHONE)
    open_in_wechat(phone, wechat, ZHOU, invite(page, site, skipped))
    phone.get_by_role("link", name="Bind this WeChat").click()
    phone.get_by_role("heading", name="One more step: follow us").wait_for()
    assert bindings() == {ZHOU: ("wangmin", False)}
    phone.get_by_role("button", name="Follow the account").click()
    phone.get_by_role("img", name="QR code").wait_for()
    camera.goto(f"{wechat.url}/phone/{ZHOU}/scan/")
    camera.locator("form button").first.click()
    phone.get_by_role("heading", name="WeChat is bound").wait_for()
    assert bindings() == {ZHOU: ("wangmin", True)}


def test_at_a_desktop_one_scan_follows_and_binds(
    site: str, wechat: Any, skipped: SendLog, open_browser: Any
) -> None:
    """The link in another browser leads to WeChat's own code, which does both at once."""
    page, guest, camera = open_browser(DESKTOP, "boss"), open_browser(DESKTOP), open_browser(PHONE)
    guest.goto(invite(page, site, skipped))
    guest.get_by_role("button", name="Scan a QR code").click()
    guest.get_by_role("img", name="QR code").wait_for()
    camera.goto(f"{wechat.url}/phone/{ZHOU}/scan/")
    camera.locator("form button").first.click()
    guest.get_by_role("heading", name="WeChat is bound").wait_for()
    assert bindings() == {ZHOU: ("wangmin", True)}


def test_a_link_that_was_passed_on_is_of_no_more_use(
    site: str, wechat: Any, skipped: SendLog, open_browser: Any
) -> None:
    """After its person has bound, whoever opens it is told that it was used."""
    page, phone, other = open_browser(DESKTOP, "boss"), open_browser(PHONE), open_browser(PHONE)
    link = invite(page, site, skipped)
    open_in_wechat(phone, wechat, WANG, link)
    phone.get_by_role("link", name="Bind this WeChat").click()
    phone.get_by_role("heading", name="WeChat is bound").wait_for()
    open_in_wechat(other, wechat, ZHOU, link)
    other.get_by_role("heading", name="This invitation was used").wait_for()
    assert "王敏" not in other.content()


@pytest.mark.parametrize("device", [DESKTOP, NARROW, DARK], ids=["desktop", "phone", "dark"])
def test_what_is_printed_is_black_on_white(
    site: str, skipped: SendLog, open_browser: Any, device: dict[str, Any]
) -> None:
    """The card, the poster and the list fit the screen; on paper they stand alone."""
    page = open_browser(device, "boss")
    invite(page, site, skipped)
    notification = f"{site}/admin/wechat_notify/notification/{skipped.notification_id}"
    pages = [
        page.url,
        f"{site}/admin/wechat_notify/openidbinding/poster/",
        f"{notification}/not-reached/",
    ]
    for url in pages:
        page.emulate_media(media="screen")
        page.goto(url)
        assert misfits(page) == []
        paper = page.locator(".wechat-paper")
        page.emulate_media(media="print")
        page.set_viewport_size(A4)
        assert page.get_by_role("heading", level=1).is_hidden()
        assert page.locator("#header").is_hidden()
        box = paper.bounding_box()
        assert box["x"] == 0
        assert box["width"] == A4["width"]
        colours = paper.evaluate(
            "paper => [getComputedStyle(paper).color, getComputedStyle(paper).backgroundColor]"
        )
        assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
        page.set_viewport_size(device["viewport"])


def test_many_cards_are_parted_between_sheets(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """Eight to a sheet of A4: twenty cards are three sheets."""
    people = [factories.make_user(f"parent{number}", last_name="王") for number in range(20)]
    notification = notify(people, template, admin_everything.TEXTS)
    page = open_browser(DESKTOP, "boss")
    page.goto(f"{site}/admin/wechat_notify/notification/{notification.pk}/change/")
    page.get_by_role("link", name="Invite all who cannot be reached").click()
    page.get_by_role("button", name="Make 20 invitations").click()
    page.locator(".wechat-invited").last.wait_for()
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.count(b"/Type /Page\n") == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_card_and_what_it_opens(
    site: str, skipped: SendLog, chromium: Any, scheme: str
) -> None:
    """axe finds no serious fault on either page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # axe itself puts styles into the page.
    looks = {**DESKTOP, "color_scheme": scheme, "locale": "en", "bypass_csp": True}
    with closing(chromium.new_context(**looks)) as context:
        page = context.new_page()
        sign_in(page, site)
        link = invite(page, site, skipped)
        faults = serious_faults(axe, page)
    with closing(chromium.new_context(**looks)) as context:
        page = context.new_page()
        for address in (link, f"{link[:-2]}x/"):
            page.goto(address)
            found = serious_faults(axe, page)
            # The buttons of the binding pages have WeChat's own colours.
            faults += [fault for fault in found if fault[0] != "color-contrast"]
    assert faults == []
