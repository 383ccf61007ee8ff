"""The admin's index and its menus lead to composing and to the dashboard."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from tests.admin_pages import SEE, browser, page, serve_admin, text
from tests.compose_pages import composer
from wechat_notify.admin.pages.menu import ComposePageAdmin
from wechat_notify.models import ComposePage

pytestmark = pytest.mark.django_db

COMPOSE, DASHBOARD = "composepage", "dashboardpage"


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.mark.parametrize("index", ["admin:index", "admin:app_list"])
def test_the_index_leads_to_both(index: str) -> None:
    """In the app's block on the first page, and on the app's own page."""
    address = reverse(index, args=["wechat_notify"] if index == "admin:app_list" else [])
    shown = text(composer(*SEE).get(address))
    for entry, words in ((COMPOSE, "Compose and send"), (DASHBOARD, "Dashboard")):
        assert f'href="{page(entry)}"' in shown
        assert words in shown


@pytest.mark.parametrize(
    ("entry", "client", "leads_to"),
    [
        (COMPOSE, composer, ("notification", "compose")),
        (DASHBOARD, lambda: browser("view_sendlog"), ("sendlog", "dashboard")),
    ],
)
def test_an_entry_leads_to_its_page(
    entry: str, client: Callable[[], Any], leads_to: tuple[str, str]
) -> None:
    """And that page is there for whoever sees the entry."""
    response = client().get(page(entry), follow=True)
    assert response.redirect_chain == [(page(*leads_to), 302)]
    assert response.status_code == 200


@pytest.mark.parametrize("entry", [COMPOSE, DASHBOARD])
def test_who_may_not_see_the_page_sees_no_entry(entry: str) -> None:
    """Nor can the address be opened; and nothing is added or changed here."""
    client = browser("view_openidbinding")
    assert page(entry) not in text(client.get(reverse("admin:index")))
    assert client.get(page(entry)).status_code == 403
    assert client.get(f"{page(entry)}add/").status_code == 404


def test_a_site_without_the_page_has_no_entry(settings: Any) -> None:
    """A site's own admin may register one model and not the other."""
    serve_admin(settings, ComposePage, ComposePageAdmin)
    shown = text(composer("view_notification").get("/admin/"))
    assert "composepage" not in shown
