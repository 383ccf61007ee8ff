"""Binding as people do it: at a desktop with the phone in hand, and in WeChat's own browser."""

import pytest
from django.utils import timezone

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP, PHONE, fits, follow
from tests.sandbox_client import WANG, ZHOU
from wechat_notify.models import BindingRequest, OpenIDBinding

NARROW = {"viewport": {"width": 360, "height": 640}}


def scan_with(phone, wechat, openid):
    """Scan the code that is on show, on the phone of this person."""
    phone.goto(f"{wechat.url}/phone/{openid}/scan/")
    phone.locator("form button").first.click()
    phone.wait_for_url(f"{wechat.url}/phone/{openid}/")


def show_code(page, site):
    """Go to the page of the QR code, and ask for one."""
    page.goto(f"{site}/wechat/default/bind/qr/")
    page.get_by_role("button", name="Show the QR code").click()
    page.get_by_role("img", name="QR code").wait_for()


def bindings():
    with DATABASE:
        return {binding.openid: binding.user.username for binding in OpenIDBinding.objects.all()}


@pytest.mark.parametrize("openid", [WANG, ZHOU], ids=["follower", "not yet"])
@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_scanning_a_code(site, wechat, open_browser, openid, device):
    """From the button to the code, to the scan on a phone, and back by itself; whoever did not
    follow the account does so by scanning."""
    page, phone = open_browser(device, "alice"), open_browser(PHONE)
    page.goto(f"{site}/profile/")
    page.get_by_role("link", name="Bind WeChat").click()
    page.get_by_role("button", name="Show the QR code").click()
    code = page.get_by_role("img", name="QR code")
    assert code.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    assert fits(page)
    scan_with(phone, wechat, openid)
    page.wait_for_url(f"{site}/profile/")
    page.get_by_text("Follows the account").wait_for()
    assert bindings() == {openid: "alice"}


def test_a_code_that_has_expired(site, wechat, open_browser):
    """The page says so by itself, and another code works."""
    page, phone = open_browser(DESKTOP, "alice"), open_browser(PHONE)
    show_code(page, site)
    with DATABASE:
        BindingRequest.objects.update(expires_at=timezone.now())
    page.get_by_text("The code has expired.").wait_for()
    page.get_by_role("button", name="Get a new code").click()
    page.locator('[data-state="waiting"]').wait_for()
    scan_with(phone, wechat, WANG)
    page.get_by_role("heading", name="WeChat is bound").wait_for()
    assert bindings() == {WANG: "alice"}


def test_a_code_scanned_by_somebody_elses_wechat(site, wechat, open_browser):
    """The page says that this WeChat is another user's, and nothing moves."""
    factories.make_binding(factories.make_user("bob"), openid=WANG)
    page, phone = open_browser(DESKTOP, "alice"), open_browser(PHONE)
    show_code(page, site)
    scan_with(phone, wechat, WANG)
    page.get_by_text("belongs to another user").wait_for()
    assert bindings() == {WANG: "bob"}


def test_a_session_that_ends_meanwhile(site, open_browser):
    """The page stops asking, and offers to start again."""
    page = open_browser(DESKTOP, "alice")
    show_code(page, site)
    with DATABASE:
        BindingRequest.objects.all().delete()
    page.get_by_text("The code has expired.").wait_for()


def test_web_authorisation_and_unbinding(site, wechat, open_browser):
    """In WeChat: the button, one tap, WeChat's page without a question, bound; and unbound."""
    page = open_browser(PHONE, "alice")
    page.goto(f"{wechat.url}/phone/{WANG}/")
    page.goto(f"{site}/profile/")
    follow(page.get_by_role("link", name="Bind WeChat"))
    page.get_by_text("alice").wait_for()
    assert fits(page)
    page.get_by_role("link", name="Bind this WeChat").click()
    # Browsers carry WeChat's fragment through every redirect that has none of its own.
    page.wait_for_url(f"{site}/profile/#wechat_redirect")
    assert bindings() == {WANG: "alice"}
    page.get_by_role("button", name="Unbind").click()
    page.get_by_role("link", name="Bind WeChat").wait_for()
    assert bindings() == {}


def test_saying_no(site, wechat, open_browser):
    """Where WeChat asks, a no comes back to a kind page, and another try works."""
    page = open_browser(PHONE, "alice")
    page.goto(f"{wechat.url}/phone/{WANG}/")
    page.goto(f"{site}/userinfo/default/bind/")
    page.get_by_role("link", name="Bind this WeChat").click()
    page.get_by_role("link", name="拒绝").click()
    page.get_by_role("heading", name="Not bound").wait_for()
    assert fits(page)
    page.goto(f"{site}/userinfo/default/bind/")
    page.get_by_role("link", name="Bind this WeChat").click()
    page.get_by_role("link", name="允许").click()
    page.get_by_role("heading", name="WeChat is bound").wait_for()
    assert bindings() == {WANG: "alice"}


def test_somebody_elses_return_address(site, wechat, open_browser):
    """Login CSRF in full: the address that an attacker was sent back to, opened by a victim."""
    attacker, victim = open_browser(PHONE, "mallory"), open_browser(PHONE, "alice")
    attacker.goto(f"{wechat.url}/phone/{WANG}/")
    attacker.goto(f"{site}/wechat/default/bind/")
    link = attacker.get_by_role("link", name="Bind this WeChat").get_attribute("href")
    to_wechat = attacker.request.get(f"{site}{link}", max_redirects=0).headers["location"]
    back = attacker.request.get(to_wechat, max_redirects=0).headers["location"]
    assert "/bind/return/?code=" in back
    victim.goto(back)
    victim.get_by_role("heading", name="This link is no longer good").wait_for()
    assert bindings() == {}
