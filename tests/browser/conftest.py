"""A real browser in front of a real site, with a fake WeChat behind both.

Chromium is Debian's, or whatever CHROMIUM names; without it, or without playwright, these tests
are skipped.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from wechat_notify.sandbox.server import Sandbox

CALLBACK_TOKEN = "the-tests-own-token"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.50(0x18003225) NetType/WIFI",
    "device_scale_factor": 2,
}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PATIENCE = 120_000
"""Milliseconds until a browser that shows nothing is a failure: a busy machine may stand still."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything beside this file needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


# Not for the session: while playwright runs, so does its event loop, and Django forbids tests of
# other modules in the same process to ask the database.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, one for all tests of a module."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, which is who runs containers.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield browser
        browser.close()


# The test and the site's threads share one connection to the database in memory, and SQLite's
# transactions do not mix: whoever works in the database while a page is open holds this.
DATABASE = threading.Lock()


def one_at_a_time(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: requests take turns."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with DATABASE:
            return get_response(request)

    return middleware


@pytest.fixture
def site(
    transactional_db: None, settings: Any, wechat: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of a site under a strict content security policy, which the fake WeChat tells
    what happens."""
    # Playwright's calls run in an event loop, where Django else forbids a test to ask the database.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    settings.ROOT_URLCONF = "tests.binding_site"
    settings.MIDDLEWARE = [
        "tests.browser.conftest.one_at_a_time",
        "tests.binding_site.strict_policy",
        *settings.MIDDLEWARE,
    ]
    settings.LOGIN_URL = "login"
    account = {"CALLBACK_TOKEN": CALLBACK_TOKEN, "AUTHORIZE_BASE": wechat.url}
    settings.WECHAT_NOTIFY["ACCOUNTS"]["default"].update(account)
    server = LiveServer("127.0.0.1")
    # Then stop() waits for what is still being answered, and for the database to be handed back.
    server.thread.httpd.daemon_threads = False
    wechat.account.callback_url = f"{server.url}/wechat/default/callback/"
    wechat.account.callback_token = CALLBACK_TOKEN
    wechat.account.any_openid = False
    yield server.url
    wechat.wait_for_callbacks(60)
    server.stop()


@pytest.fixture
def new_context(chromium: Any, site: Any) -> Iterator[Callable[..., Any]]:
    """Make a browser of one's own: ``new_context(**DESKTOP)``. An English one, unless told.

    It is closed before the site ends.
    """
    contexts = []

    def make(**options: Any) -> Any:
        context = chromium.new_context(**{"locale": "en", **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What browsers had to complain of, until they are closed: nothing."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def open_browser(complaints: list[str], new_context: Any, site: str) -> Callable[..., Any]:
    """Open a browser of one's own: ``open_browser(PHONE, "alice")``; its page comes back.

    A script error, or anything the policy had to block, fails the test.
    """

    def complain(message: Any) -> None:
        # A 4xx is the server's to explain, and every browser asks for a favicon.
        about_status = message.text.startswith("Failed to load resource: the server responded")
        if message.type in ("error", "warning") and not about_status:
            complaints.append(message.text)

    def open_page(device: dict[str, Any], username: str = "") -> Any:
        context = new_context(**device)
        if username:
            context.add_cookies([_signed_in(username, site)])
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    return open_page


class Held:
    """Requests of a page that are kept back, as long as a slow site would."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._routes: list[Any] = []
        self.ended = False

    def add(self, route: Any) -> None:
        self._routes.append(route)

    def wait(self) -> None:
        """Wait until one is held."""
        while not self._routes:
            self._page.wait_for_timeout(20)

    def release(self) -> None:
        """Let them through, in the order in which they came."""
        while self._routes:
            self._routes.pop(0).continue_()


@contextmanager
def held(page: Any, address: str, matches: Callable[[Any], bool]) -> Iterator[Held]:
    """Hold the requests for this address that match, until released or the block ends."""
    found = Held(page)

    def handle(route: Any) -> None:
        if matches(route.request) and not found.ended:
            found.add(route)
        else:
            route.continue_()

    page.route(address, handle)
    yield found
    found.ended = True
    found.release()
    page.unroute(address, handle)


def follow(target: Any) -> None:
    """Click what leads to another page, and wait until that has loaded, scripts and styles too."""
    target.page.wait_for_load_state()
    # The event, as a browser without scripts runs no function that waits; and not
    # expect_navigation(), as a page that notes something in its history "navigates" as well.
    with target.page.expect_event("load"):
        target.click()


def settle(page: Any) -> None:
    """Wait until what the page asks for by itself is there: then it says when it asks again."""
    page.wait_for_function("() => !document.querySelector('[data-wechat-live]:not([data-again])')")


def fits(page: Any) -> bool:
    """Nothing is wider than the screen, once the page's styles are there."""
    page.wait_for_load_state()
    answer: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return answer


def _signed_in(username: str, site: str) -> dict[str, str]:
    user, _ = get_user_model().objects.get_or_create(username=username)
    client = Client()
    client.force_login(user)
    name = django_settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": site}
