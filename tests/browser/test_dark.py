"""In the dark: cards, binding pages and the sandbox's phone, measured by their colours."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP, PHONE, follow
from wechat_notify.models import MessageTemplate
from wechat_notify.services import notify

READABLE, DARK, LIGHT = 4.5, 0.05, 0.8
SCHEMES = ("light", "dark")

COLOURS = """(part) => {
  const own = getComputedStyle(part);
  let ground = own.backgroundColor;
  for (let box = part; box && ground === "rgba(0, 0, 0, 0)"; box = box.parentElement) {
    ground = getComputedStyle(box).backgroundColor;
  }
  return [own.color, ground];
}"""


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    settings.ROOT_URLCONF = "tests.urls"
    wechat.account.any_openid = True
    get_user_model().objects.create_superuser("boss")
    return site


@pytest.fixture
def template(wechat: Any, transactional_db: None) -> MessageTemplate:
    made = factories.make_template(url="https://school.example/orders/")
    wechat.add_template(factories.sandbox_template(made))
    return made


def luminance(colour: str) -> float:
    """How bright a colour of CSS is, from 0 to 1, as the accessibility guidelines define it."""
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def assert_suits(page: Any, selector: str, scheme: str) -> None:
    """The ground of this part is dark where the page is, and its text can be read on it."""
    text, ground = map(luminance, page.locator(selector).first.evaluate(COLOURS))
    assert ground < DARK if scheme == "dark" else ground > LIGHT, selector
    assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) >= READABLE, selector


@pytest.mark.parametrize("scheme", SCHEMES)
def test_cards_in_the_admin(
    site: str, template: MessageTemplate, open_browser: Any, scheme: str
) -> None:
    """They follow the browser, and Django's own switch before it."""
    page = open_browser({**DESKTOP, "color_scheme": scheme}, "boss")
    page.goto(f"{site}/admin/wechat_notify/messagetemplate/{template.pk}/change/")
    for part in (".wechat-card__title", ".wechat-card dd", ".wechat-chat__bar"):
        assert_suits(page, part, scheme)
    other = "dark" if scheme == "light" else "light"
    page.evaluate("(scheme) => { document.documentElement.dataset.theme = scheme }", other)
    assert_suits(page, ".wechat-card__title", other)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tiles_have_the_ground_of_their_cards(
    site: str, template: MessageTemplate, open_browser: Any, scheme: str
) -> None:
    """Where a template is chosen."""
    page = open_browser({**DESKTOP, "color_scheme": scheme}, "boss")
    page.goto(f"{site}/admin/wechat_notify/notification/compose/")
    for part in (".wechat-tile .wechat-card__title", ".wechat-tile__card"):
        _text, ground = page.locator(part).first.evaluate(COLOURS)
        assert luminance(ground) < DARK if scheme == "dark" else luminance(ground) > LIGHT


@pytest.mark.parametrize("scheme", SCHEMES)
def test_binding_pages(site: str, open_browser: Any, scheme: str) -> None:
    """The page and its cells; the code stays on white, or no phone reads it."""
    page = open_browser({**DESKTOP, "color_scheme": scheme}, "alice")
    page.goto(f"{site}/wechat/default/bind/")
    for part in (".wechat-bind__title", ".wechat-bind__text", ".wechat-bind__cell dd"):
        assert_suits(page, part, scheme)
    follow(page.get_by_role("button", name="Scan a QR code"))
    page.locator(".wechat-bind__code img").wait_for()
    assert_suits(page, ".wechat-bind__hint", scheme)
    _text, ground = page.locator(".wechat-bind__code").evaluate(COLOURS)
    assert luminance(ground) == pytest.approx(1)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_sandboxs_phone(
    site: str, wechat: Any, template: MessageTemplate, open_browser: Any, scheme: str
) -> None:
    """The people, and a chat with its card."""
    binding = factories.make_binding()
    with DATABASE:
        notify(binding, template, factories.ORDER)
    page = open_browser({**PHONE, "color_scheme": scheme})
    page.goto(f"{wechat.url}/")
    assert_suits(page, ".person__name", scheme)
    page.goto(f"{wechat.url}/phone/{binding.openid}/")
    for part in (".wechat-card__title", ".wechat-card dd", ".bar__title", ".menu__item"):
        assert_suits(page, part, scheme)


def test_every_page_of_ours_has_an_icon(site: str, wechat: Any, open_browser: Any) -> None:
    """Else a browser asks the site's /favicon.ico, and the log fills with 404."""
    page = open_browser(DESKTOP, "alice")
    for address in (f"{site}/wechat/default/bind/", wechat.url):
        page.goto(address)
        icon = page.locator("link[rel=icon]").evaluate("(link) => link.href")
        response = page.request.get(icon)
        assert (response.status, response.headers["content-type"]) == (200, "image/svg+xml")
