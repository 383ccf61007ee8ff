"""The app's own pages stand in the admin's frame as Django's do; its empty lists can be read."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests.browser.measures import misfits

ADMIN = "/admin/wechat_notify/"
OWN = ("notification/compose/", "sendlog/dashboard/", "messagetemplate/sync/")
WIDTHS = (1280, 1000, 390)


@pytest.fixture
def site(site: str, settings: Any) -> str:
    settings.ROOT_URLCONF = "tests.urls"
    get_user_model().objects.create_superuser("boss")
    return site


def crumbs(page: Any) -> tuple[float, float, float]:
    """Where the way back begins: the left and the top of its first word, and the bar's height."""
    first = page.locator(".breadcrumbs a").first.bounding_box()
    return first["x"], first["y"], page.locator(".breadcrumbs").bounding_box()["height"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("own", OWN)
def test_breadcrumbs_stand_where_djangos_do(
    site: str, open_browser: Any, own: str, width: int
) -> None:
    """From one page to the next nothing jumps."""
    page = open_browser({"viewport": {"width": width, "height": 800}}, "boss")
    page.goto(f"{site}{ADMIN}recipientfilter/")
    x, y, height = crumbs(page)
    page.goto(f"{site}{ADMIN}{own}")
    own_x, own_y, own_height = crumbs(page)
    assert own_x == pytest.approx(x, abs=1)
    assert own_y == pytest.approx(y, abs=1)
    if width == WIDTHS[0]:
        assert own_height == pytest.approx(height, abs=1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "model", ["notification", "sendlog", "messagetemplate", "openidbinding", "recipientfilter"]
)
def test_an_empty_list_can_be_read(site: str, open_browser: Any, model: str, width: int) -> None:
    """What to do first stands where the rows would be, and its buttons are on the screen."""
    page = open_browser({"viewport": {"width": width, "height": 800}}, "boss")
    page.goto(f"{site}{ADMIN}{model}/")
    page.locator(".wechat-empty p").first.wait_for()
    page.locator(".wechat-empty .button").first.wait_for()
    assert misfits(page) == []
