"""The pages that an invitation opens, and what cannot be done with them."""

import html
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from wechat_notify.binding import invitations
from wechat_notify.binding.by_qrcode import on_scan
from wechat_notify.models import BindingChange, BindingRequest, OpenIDBinding
from wechat_notify.services import bind, unbind

pytestmark = [pytest.mark.urls("tests.binding_site"), pytest.mark.django_db]

OPENID, OTHERS = factories.openid(7), factories.openid(8)
IN_WECHAT = {"User-Agent": "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 MicroMessenger/8.0.50"}


@pytest.fixture
def alice() -> Any:
    return factories.make_user("alice", last_name="王", first_name="小明")


@pytest.fixture
def token(alice: Any, wechat: Any, configure: Any) -> str:
    """Her invitation, to an account with callbacks."""
    configure(default={"CALLBACK_TOKEN": "the-tests-own-token"})
    return invitations.tokens([alice], "default")[alice.pk]


def url(token: str, page: str = "invited", account: str = "default", **more: Any) -> str:
    return reverse(f"wechat_notify:{page}", kwargs={"account": account, "token": token, **more})


def text(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer
    return str(answer.content.decode())


def button(answer: Any) -> str:
    """Where the button for web authorisation leads."""
    found = re.search(r'href="([^"]*[?&]start=[^"]*)"', answer.content.decode())
    assert found is not None
    return html.unescape(found[1])


def to_wechat(client: Client, token: str) -> str:
    """Press the button; the address of WeChat's page comes back."""
    page = client.get(url(token), headers=IN_WECHAT)
    location: str = client.get(button(page), headers=IN_WECHAT)["Location"]
    return location


def come_back(client: Client, wechat: Any, location: str, openid: str = OPENID) -> Any:
    """Agree as the person of an openid, and come back."""
    query = dict(parse_qsl(urlsplit(location).query))
    code = wechat.state.logins.issue(openid, query["scope"]) if openid else ""
    path = urlsplit(query["redirect_uri"]).path
    return client.get(path, {"state": query["state"], "code": code}, headers=IN_WECHAT)


def show_code(client: Client, token: str, wechat: Any) -> str:
    """Ask for a QR code; its scene comes back."""
    assert client.post(url(token, "invited_qr")).status_code == 302
    scene: str = wechat.state.codes()[0].scene
    return scene


def scan(scene: str, openid: str = OPENID) -> None:
    on_scan("default", openid, scene, happened_at=timezone.now())


def bound() -> dict[str, str]:
    return {row.openid: row.user.username for row in OpenIDBinding.objects.all()}


# -- what it does


def test_the_page_says_whose_messages_are_meant(token: str) -> None:
    """Before anything is bound; it asks for no login, and writes and asks nothing."""
    answer = Client().get(url(token), headers=IN_WECHAT)
    page = text(answer)
    assert "王小明" in page
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert "no-store" in answer["Cache-Control"]
    assert not BindingRequest.objects.exists()


def test_one_tap_binds_the_invited_person(token: str, wechat: Any) -> None:
    """Through WeChat's page and back, without signing in."""
    wechat.follow(OPENID)
    client = Client()
    answer = come_back(client, wechat, to_wechat(client, token))
    assert answer["Location"] == url(token)
    assert "WeChat is bound" in text(client.get(url(token), headers=IN_WECHAT))
    assert bound() == {OPENID: "alice"}
    assert OpenIDBinding.objects.get().source == "oauth"


def test_who_does_not_follow_yet_is_asked_to(token: str, wechat: Any) -> None:
    """In the browser that has bound; it gives no openid away, nor a way to unbind."""
    wechat.account.any_openid = False
    wechat.unfollow(wechat.follow(OPENID).openid)
    client = Client()
    come_back(client, wechat, to_wechat(client, token))
    page = text(client.get(url(token), headers=IN_WECHAT))
    assert "follow us" in page
    assert url(token, "invited_qr") in page
    assert "oTest" not in page
    assert "nbind" not in page


def test_a_scan_follows_and_binds(token: str, wechat: Any) -> None:
    """The page of the code notices it, and leads back to the invitation."""
    client = Client()
    scene = show_code(client, token, wechat)
    shown = BindingRequest.objects.get()
    page = text(client.get(url(token, "invited_qr")))
    status = url(token, "invited_qr_status", pk=shown.pk)
    assert status in page
    image = client.get(url(token, "invited_qr_image", pk=shown.pk))
    assert image["Content-Type"] == "image/png"
    assert client.get(status).json() == {"state": "waiting", "location": url(token)}
    scan(scene)
    assert client.get(status).json() == {"state": "bound", "location": url(token)}
    assert "WeChat is bound" in text(client.get(url(token)))
    assert bound() == {OPENID: "alice"}


@pytest.mark.parametrize("without", ["callbacks", "codes"])
def test_without_codes_it_says_how_to_follow(
    alice: Any, token: str, configure: Any, without: str
) -> None:
    """Where a scan would tell the site nothing, or the backend has no codes, none is offered."""
    if without == "callbacks":
        configure(default={"CALLBACK_TOKEN": ""})
    else:
        configure(default={"BACKEND": "wechat_notify.backends.locmem.LocMemBackend"})
    bind(alice, OPENID, subscribed=False)
    token = invitations.tokens([alice], "default")[alice.pk]
    page = text(Client().get(url(token)))
    assert "Search for “default” in WeChat" in page
    assert url(token, "invited_qr") not in page
    assert Client().post(url(token, "invited_qr"))["Location"] == url(token)
    assert not BindingRequest.objects.exists()


def test_who_follows_by_now_says_so(alice: Any, token: str, wechat: Any) -> None:
    """Somebody known to have left who is back: web authorisation finds it out."""
    bind(alice, OPENID, subscribed=False)
    wechat.follow(OPENID)
    client, token = Client(), invitations.tokens([alice], "default")[alice.pk]
    assert "I follow it already" in text(client.get(url(token), headers=IN_WECHAT))
    come_back(client, wechat, to_wechat(client, token))
    assert OpenIDBinding.objects.get().subscribed


# -- what it does not


def pages(token: str, account: str = "default") -> list[str]:
    return [
        *(url(token, name, account) for name in ("invited", "invited_return", "invited_qr")),
        *(url(token, f"invited_qr_{name}", account, pk=1) for name in ("status", "image")),
    ]


def refused(token: str, status: int, account: str = "default", client: Any = None) -> bool:
    """Every page, by GET and by POST, gives this answer, which names nobody."""
    client = client or Client()
    before = (list(BindingRequest.objects.values()), list(OpenIDBinding.objects.values()))
    for address in pages(token, account):
        for send in (client.get, client.post):
            answer = send(address, headers=IN_WECHAT)
            assert answer.status_code == status
            assert "王小明" not in answer.content.decode()
    return before == (list(BindingRequest.objects.values()), list(OpenIDBinding.objects.values()))


def test_a_changed_link_opens_nothing(token: str) -> None:
    """A part that is missing, another letter, another account."""
    assert refused(token[:-3], 404)
    assert refused(token.swapcase(), 404)
    assert refused(token, 404, account="other")
    assert refused(token, 404, account="unknown")


def test_who_may_not_sign_in_cannot_be_bound(token: str, wechat: Any) -> None:
    """Neither by the link, nor by what was begun with it before."""
    client = Client()
    location, scene = to_wechat(client, token), show_code(client, token, wechat)
    get_user_model().objects.update(is_active=False)
    assert refused(token, 404)
    assert come_back(client, wechat, location).status_code == 404
    scan(scene)
    assert bound() == {}


def test_another_person_who_is_signed_in_is_not_bound_to_it(token: str) -> None:
    """The page says so, and does not name who is invited."""
    mallory = Client()
    mallory.force_login(factories.make_user("mallory"))
    assert refused(token, 403, client=mallory)


def test_the_invited_person_may_be_signed_in(alice: Any, token: str) -> None:
    """Their own session is no obstacle."""
    client = Client()
    client.force_login(alice)
    assert "王小明" in text(client.get(url(token), headers=IN_WECHAT))


def test_it_is_good_once(alice: Any, token: str, wechat: Any) -> None:
    """After its person was bound, whoever else has the link is told that it was used."""
    client = Client()
    come_back(client, wechat, to_wechat(client, token))
    assert refused(token, 410)
    unbind(alice)
    assert refused(token, 410, client=client)
    assert bound() == {}


def test_the_browser_that_used_it_starts_nothing_more(token: str, wechat: Any) -> None:
    """What is left there is to follow; a button of before, and a POST, lead to the page."""
    client = Client()
    old = button(client.get(url(token), headers=IN_WECHAT))
    come_back(client, wechat, to_wechat(client, token))
    for answer in (client.get(old), client.post(url(token))):
        assert answer["Location"] == url(token)
    assert BindingRequest.objects.count() == 1


def test_of_two_browsers_one_binds(token: str, wechat: Any) -> None:
    """Both began before either ended: the second comes back too late."""
    first, second = Client(), Client()
    locations = [to_wechat(first, token), to_wechat(second, token)]
    come_back(first, wechat, locations[0])
    assert come_back(second, wechat, locations[1], OTHERS).status_code == 410
    assert bound() == {OPENID: "alice"}


def test_of_two_codes_one_binds(token: str, wechat: Any) -> None:
    """A code that somebody else was shown by the same link binds nobody any more."""
    first = show_code(Client(), token, wechat)
    second = show_code(Client(), token, wechat)
    assert first != second
    scan(first)
    scan(second, OTHERS)
    assert bound() == {OPENID: "alice"}
    assert set(BindingRequest.objects.values_list("state", flat=True)) == {"bound", "failed"}


def test_a_signed_in_persons_second_code_still_binds(alice: Any, token: str, wechat: Any) -> None:
    """Only an invitation is good once: who is signed in may bind two phones."""
    scenes = []
    for _phone in range(2):
        client = Client()
        client.force_login(alice)
        client.post(reverse("wechat_notify:bind_qr", args=["default"]))
        scenes.append(wechat.state.codes()[0].scene)
    scan(scenes[0])
    scan(scenes[1], OTHERS)
    assert bound() == {OPENID: "alice", OTHERS: "alice"}


def test_another_browsers_state_is_refused(token: str, wechat: Any) -> None:
    """Login CSRF: the address that an attacker was sent back to, opened by somebody else."""
    location = to_wechat(Client(), token)
    answer = come_back(Client(), wechat, location)
    assert answer.status_code == 400
    assert bound() == {}


def test_another_browsers_code_is_not_shown(token: str, wechat: Any) -> None:
    """Nor its state told."""
    show_code(Client(), token, wechat)
    shown = BindingRequest.objects.get()
    for name in ("invited_qr_status", "invited_qr_image"):
        assert Client().get(url(token, name, pk=shown.pk)).status_code == 404


def test_the_start_link_is_of_this_session_only(token: str) -> None:
    """A link on another site starts nothing."""
    link = button(Client().get(url(token), headers=IN_WECHAT))
    assert "Bind this WeChat" in text(Client().get(link, headers=IN_WECHAT))
    assert not BindingRequest.objects.exists()


def test_a_post_needs_the_csrf_token(token: str) -> None:
    """A form on somebody else's site starts nothing either."""
    client = Client(enforce_csrf_checks=True)
    for page in ("invited", "invited_qr"):
        assert client.post(url(token, page)).status_code == 403
    assert not BindingRequest.objects.exists()


def test_a_wechat_of_somebody_else_stays_theirs(token: str, wechat: Any) -> None:
    """BINDING_CONFLICT holds: it is refused and written down, and the invitation stays open."""
    bind(factories.make_user("bob"), OPENID)
    client = Client()
    answer = come_back(client, wechat, to_wechat(client, token))
    assert "belongs to another user" in text(answer, 409)
    assert bound() == {OPENID: "bob"}
    assert BindingChange.objects.filter(change="refused").exists()
    assert "王小明" in text(client.get(url(token), headers=IN_WECHAT))


def test_where_it_may_move_it_moves(token: str, wechat: Any, configure: Any) -> None:
    """With BINDING_CONFLICT = "move", as on the other pages."""
    configure(BINDING_CONFLICT="move")
    bind(factories.make_user("bob"), OPENID)
    client = Client()
    come_back(client, wechat, to_wechat(client, token))
    assert bound() == {OPENID: "alice"}


def test_saying_no_changes_nothing(token: str, wechat: Any) -> None:
    """Whoever declines at WeChat comes back to a page that can start again."""
    client = Client()
    answer = come_back(client, wechat, to_wechat(client, token), "")
    assert url(token) in text(answer)
    assert bound() == {}
