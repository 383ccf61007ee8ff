"""Empty lists say what to do first, and lead there."""

from typing import Any

import pytest
from django.urls import reverse

from tests.admin_pages import SEE, browser, page, text
from tests.compose_pages import address, composer
from tests.factories import make_template

pytestmark = pytest.mark.django_db

EMPTY = {
    "notification": "No notifications yet.",
    "sendlog": "No messages yet.",
    "messagetemplate": "There are no templates yet.",
    "openidbinding": "Nobody has bound WeChat yet.",
    "recipientfilter": "No saved recipients yet.",
    "alert": "No alerts yet.",
}
COMPOSED = ("notification", "sendlog", "recipientfilter")


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


def below(model: str, client: Any) -> str:
    """What stands where the rows would be."""
    return text(client.get(page(model))).partition("wechat-empty")[2].partition("</form>")[0]


@pytest.mark.parametrize("model", EMPTY)
def test_an_empty_list_says_so(model: str) -> None:
    """In a sentence about this list."""
    assert EMPTY[model] in below(model, browser(*SEE))


@pytest.mark.parametrize("model", COMPOSED)
def test_an_empty_list_leads_to_composing(model: str) -> None:
    """Those who may compose."""
    assert address() in below(model, composer(*SEE))
    assert address() not in below(model, browser(*SEE, name="other"))


def test_no_templates_lead_to_the_sync() -> None:
    """From the list, from the gallery and from the first page of composing."""
    sync = page("messagetemplate", "sync")
    client = composer(*SEE, "sync_messagetemplate")
    assert sync in below("messagetemplate", client)
    for nothing in (page("messagetemplate", "gallery"), address()):
        shown = text(client.get(nothing))
        assert f'class="button" href="{sync}"' in shown
    for nothing in (page("messagetemplate", "gallery"), address()):
        assert sync not in text(composer(*SEE, name="other").get(nothing))


def test_no_bindings_lead_to_the_page_that_binds(settings: Any) -> None:
    """One for each account; a site that has not included it gets the sentence alone."""
    settings.ROOT_URLCONF = "tests.urls"
    shown = below("openidbinding", browser(*SEE))
    for alias in ("default", "other"):
        assert reverse("wechat_notify:bind", args=[alias]) in shown
    settings.ROOT_URLCONF = "tests.compose_site"
    assert "Nobody has bound WeChat yet." in below("openidbinding", browser(*SEE))


def test_a_search_without_a_result_leads_back_to_all() -> None:
    """The list is not empty: it is only narrowed down."""
    make_template()
    client = browser(*SEE)
    for query in ("?q=nowhere", "?state=paused"):
        shown = text(client.get(page("messagetemplate") + query))
        assert "Nothing matches the search and the filters." in shown
        assert 'class="button" href="?"' in shown
        assert "There are no templates yet." not in shown
    assert "wechat-empty" not in text(client.get(page("messagetemplate")))
