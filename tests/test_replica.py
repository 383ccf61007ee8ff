"""Binding on a site that reads from a replica which never catches up.

A test that may use ``default`` only fails where the replica is asked, so this shows that what was
just written is read where it was written.
"""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import make_binding, make_user, openid
from wechat_notify.binding.by_qrcode import on_scan
from wechat_notify.binding.follow_state import recheck, unsubscribed
from wechat_notify.binding.follower_sync import sync_followers
from wechat_notify.binding.importing import import_bindings
from wechat_notify.binding.sources import Found
from wechat_notify.models import OpenIDBinding
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import bind, unbind

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.binding_site")]


@pytest.fixture(autouse=True)
def replica(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.routers.ReadsElsewhere"]


@pytest.fixture
def alice() -> Any:
    return make_user("alice")


@pytest.fixture
def client(alice: Any) -> Client:
    signed_in = Client()
    signed_in.force_login(alice)
    return signed_in


def url(name: str, *args: Any) -> str:
    return reverse(f"wechat_notify:{name}", args=["default", *args])


def bindings() -> dict[str, str]:
    rows = OpenIDBinding.objects.using("default")
    return {binding.openid: binding.user.username for binding in rows}


def test_web_authorisation(client: Client, wechat: Sandbox) -> None:
    """From the button to the page that says what is bound, and unbound again."""
    location = client.post(url("bind"), {"next": "/notices/"})["Location"]
    query = dict(parse_qsl(urlsplit(location).query))
    code = wechat.state.logins.issue(openid(7), query["scope"])
    answer = client.get(url("bind_return"), {"state": query["state"], "code": code})
    assert answer["Location"] == "/notices/"
    assert client.get("/notices/").content == b"notices"
    assert "oTes…007" in client.get(url("bind")).content.decode()
    assert "oTes…007" in client.get("/profile/").content.decode()
    client.post(url("unbind"))
    assert "oTes…007" not in client.get(url("bind")).content.decode()
    assert bindings() == {}


def test_a_qr_code(client: Client, wechat: Sandbox, configure: Any) -> None:
    """From the button to the picture, the scan, and the page that notices it."""
    configure(default={"CALLBACK_TOKEN": "the-tests-own-token"})
    page = client.post(url("bind_qr"), follow=True).content.decode()
    pk = int(page.partition("/bind/qr/")[2].partition("/")[0])
    assert client.get(url("bind_qr_image", pk)).status_code == 200
    scene = wechat.state.codes()[0].scene
    on_scan("default", openid(7), scene, happened_at=timezone.now())
    assert client.get(url("bind_qr_status", pk)).json()["state"] == "bound"
    assert bindings() == {openid(7): "alice"}


def test_binding_by_code(alice: Any) -> None:
    """Twice, and forgotten again."""
    assert bind(alice, openid(1)) == bind(alice, openid(1))
    unsubscribed("default", openid(1), happened_at=timezone.now())
    assert unbind(alice, openid(1)) == 1


def test_an_openid_that_moves(alice: Any, configure: Any) -> None:
    """To whoever holds the phone."""
    configure(BINDING_CONFLICT="move")
    make_binding(make_user("bob"), 1)
    assert bind(alice, openid(1), source="oauth").user == alice
    assert bindings() == {openid(1): "alice"}


def test_an_import(alice: Any) -> None:
    """What one batch has bound the next finds bound."""
    rows = [Found(alice.pk, openid(1 + number % 150)) for number in range(300)]
    report = import_bindings(rows, "default", check=False)
    assert (report.counts["new"], report.counts["known"]) == (150, 150)


def test_the_list_of_followers(alice: Any, wechat: Sandbox) -> None:
    """Compared with the bindings there are, and asked about one by one."""
    wechat.account.any_openid = False
    binding = make_binding(alice, 1)
    wechat.unfollow(binding.openid)
    assert sync_followers("default").changes.unsubscribed == 1
    assert recheck([binding]).checked == 1
