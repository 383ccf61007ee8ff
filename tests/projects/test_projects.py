"""Whole projects that do otherwise than a new one: bind, trigger, send, callback, admin."""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.factories import openid
from tests.services.conftest import TEMPLATE
from tests.site_process import SiteProcess
from tests.wechat_posts import TOKEN
from wechat_notify.sandbox.server import Sandbox

# The shop has hundreds of migrations.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IN_WECHAT = "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 MicroMessenger/8.0.50"
PAGES_READ = 80


@pytest.fixture
def fake() -> Iterator[Sandbox]:
    with Sandbox(any_openid=True, templates=[TEMPLATE], callback_token=TOKEN) as sandbox:
        yield sandbox


@pytest.fixture(params=["clinic", "kiosk", "shop"])
def project(request: Any, tmp_path: Path, fake: Sandbox) -> Iterator[SiteProcess]:
    """The project, migrated, with its callback address known to WeChat."""
    if request.param == "shop":
        pytest.importorskip("oscar")
    site = SiteProcess(
        "tests.projects.site",
        DJANGO_SETTINGS_MODULE=f"tests.projects.{request.param}.settings",
        WHERE=str(tmp_path),
        SANDBOX_URL=fake.url,
        SANDBOX_APP_ID=fake.app_id,
    )
    site.ask("prepare")
    fake.account.callback_url = f"http://127.0.0.1:{site.port}/wechat/default/callback/"
    yield site
    site.close()


def browser(project: SiteProcess, session: str) -> requests.Session:
    made = requests.Session()
    made.cookies.set("sessionid", session, domain="127.0.0.1")
    made.headers["User-Agent"] = IN_WECHAT
    return made


def address(project: SiteProcess, path: str) -> str:
    return f"http://127.0.0.1:{project.port}{path}"


def bind_by_web(project: SiteProcess, fake: Sandbox, path: str, person: Any) -> None:
    """Tap the button of the binding page, be sent to WeChat's and back."""
    me = browser(project, person["session"])
    page = me.get(address(project, path))
    assert page.status_code == 200
    fake.account.phone_user = openid(1)
    button = re.search(r'href="([^"]*[?&]start=[^"]*)"', page.text)
    assert button is not None, page.text
    back = me.get(urljoin(page.url, html.unescape(button[1])))
    assert (back.status_code, urlsplit(back.url).path) == (200, path)


def bind_by_qrcode(project: SiteProcess, fake: Sandbox, path: str, person: Any) -> None:
    """Ask for a code, and scan it with the phone; WeChat tells the callback address."""
    me = browser(project, person["session"])
    page = me.get(address(project, path))
    field = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert field is not None, page.text
    shown = me.post(page.url, {"csrfmiddlewaretoken": field[1]}, headers={"Referer": page.url})
    assert shown.status_code == 200
    [code] = fake.state.codes()
    fake.event(openid(2), "SCAN", EventKey=code.scene, Ticket=code.ticket)
    assert fake.wait_for_callbacks(60)


def test_a_project_from_check_to_admin(project: SiteProcess, fake: Sandbox) -> None:
    """No check fails; two people bind, one way each; messages reach them; the admin shows it."""
    assert [found for found in project.ask("check") if ".E" in found] == []
    paths = project.ask("paths")
    one, two = project.ask("sign_in one"), project.ask("sign_in two")
    bind_by_web(project, fake, paths["bind"], one)
    bind_by_qrcode(project, fake, paths["bind_qr"], two)
    assert project.ask("state")["bindings"] == [[openid(1), True, "oauth"], [openid(2), True, "qr"]]
    project.ask(f"happen {one['pk']}")
    assert project.ask("send") == 2
    project.ask("deliver")
    assert fake.counts == {openid(1): 2, openid(2): 1}
    fake.advance(2)  # WeChat tells the times of events in seconds
    fake.event(openid(2), "unsubscribe")
    assert fake.wait_for_callbacks(60)
    after = project.ask("deliver")
    assert after["counts"] == {"delivered": 3}
    assert [subscribed for _who, subscribed, _source in after["bindings"]] == [True, False]
    if paths["admin"]:
        read_all_pages(project, paths["admin"], project.ask("sign_in boss"))


def read_all_pages(project: SiteProcess, start: str, person: Any) -> None:
    """Each page of the app that the admin links to, with something on it."""
    me = browser(project, person["session"])
    waiting, read = [start], set[str]()
    while waiting and len(read) < PAGES_READ:
        path = waiting.pop(0)
        page = me.get(address(project, path))
        assert page.status_code == 200, path
        for link in re.findall(r'href="([^"#]+)"', page.text):
            target = urlsplit(urljoin(page.url, html.unescape(link)))
            known = target.path + (f"?{target.query}" if target.query else "")
            inside = target.netloc == urlsplit(page.url).netloc and target.path.startswith(start)
            if inside and "wechat_notify" in target.path and target.path not in read:
                read.add(target.path)
                waiting.append(known)
    assert len(read) > 15
