"""The binding pages as a browser's requests meet them: whose they are, and where they lead."""

import html
import re
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.template import engines
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.encoding import iri_to_uri

from tests import factories
from wechat_notify.models import BindingRequest, OpenIDBinding
from wechat_notify.sandbox.records import User
from wechat_notify.views.binding import BindReturnView, BindView
from wechat_notify.wechat import oauth

pytestmark = [pytest.mark.urls("tests.binding_site"), pytest.mark.django_db]

OPENID = factories.openid(7)
IN_WECHAT = {"User-Agent": "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 MicroMessenger/8.0.50"}
OUTSIDE = [
    "https://evil.example/",
    "//evil.example/",
    "https:evil.example",
    "http:///evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "https://testserver@evil.example/",
    "/\x00",
    "/" * 3000,
]


@pytest.fixture
def wechat(wechat, configure):
    """It tells the site of scans, by callbacks."""
    configure(default={"CALLBACK_TOKEN": "the-tests-own-token"})
    return wechat


def url(name, *args, next_url=None):
    path = reverse(f"wechat_notify:{name}", args=["default", *args])
    return path if next_url is None else f"{path}?next={next_url}"


@pytest.fixture
def alice(db):
    return factories.make_user("alice")


@pytest.fixture
def client(alice):
    signed_in = Client()
    signed_in.force_login(alice)
    return signed_in


@pytest.fixture
def come_back(wechat):
    """Go to WeChat's page, agree as the person of an openid, and come back."""

    def go(client, location, openid=OPENID, **changes):
        query = dict(parse_qsl(urlsplit(location).query))
        code = wechat.state.logins.issue(openid, query["scope"]) if openid else ""
        return client.get(
            urlsplit(query["redirect_uri"]).path,
            {"state": query["state"], "code": code, **changes},
        )

    return go


def button(answer):
    """Where the button for web authorisation leads."""
    return html.unescape(re.search(r'href="([^"]*[?&]start=[^"]*)"', answer.content.decode())[1])


def begin(client, next_url=""):
    """Start web authorisation; the address of WeChat's page comes back."""
    return client.post(url("bind"), {"next": next_url}, headers=IN_WECHAT)["Location"]


@pytest.fixture
def shown(wechat, client):
    """A QR code on the screen."""
    client.post(url("bind_qr", next_url="/profile/"))
    return BindingRequest.objects.get()


def scan(wechat, openid=OPENID):
    from django.utils import timezone

    from wechat_notify.binding.by_qrcode import on_scan

    on_scan("default", openid, wechat.state.codes()[0].scene, happened_at=timezone.now())


# -- who may


@pytest.mark.parametrize("name", ["bind", "bind_return", "bind_qr"])
def test_a_page_is_for_people_who_are_signed_in(name):
    """Anybody else signs in first, and comes back."""
    answer = Client().get(url(name, next_url="/profile/"))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/wechat/default/")


@pytest.mark.urls("tests.urls")
def test_a_site_without_a_login_page(client, alice):
    """Nobody is sent to an address that is not there: the page says what to do."""
    for name in ("bind", "bind_return", "bind_qr"):
        answer = Client().get(url(name))
        assert answer.status_code == 403
        assert "sign in first" in answer.content.decode()
    assert Client().post(url("unbind")).status_code == 403
    assert client.get(url("bind")).status_code == 200


@pytest.mark.urls("tests.translated_urls")
def test_a_login_page_whose_address_begins_with_a_language():
    """It has no address without one, but LocaleMiddleware leads there."""
    answer = Client().get(url("bind"))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=")


def test_what_is_no_page_is_forbidden_without_signing_in():
    """A script and a picture are of no use as a login page; unbinding needs a user."""
    assert Client().get(url("bind_qr_status", 1)).status_code == 403
    assert Client().get(url("bind_qr_image", 1)).status_code == 403
    assert Client().post(url("unbind")).status_code == 302


@pytest.mark.parametrize("name", ["bind", "bind_return", "bind_qr"])
def test_an_unknown_account_has_no_pages(client, name):
    """404, and not a word about which accounts there are."""
    path = reverse(f"wechat_notify:{name}", args=["nowhere"])
    assert client.get(path).status_code == 404


def test_pages_are_kept_by_nobody_and_framed_by_nobody(client):
    """Not cached, not in a frame, and their address is not passed on to other sites."""
    answer = client.get(url("bind"))
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"


# -- web authorisation


def test_a_get_only_offers(client, wechat):
    """Opening the page binds nobody and writes nothing: it says who is signed in, with a link."""
    answer = client.get(url("bind", next_url="/profile/"), headers=IN_WECHAT)
    assert answer.status_code == 200
    assert "alice" in answer.content.decode()
    assert not wechat.calls
    assert not BindingRequest.objects.exists()
    started = client.get(button(answer), headers=IN_WECHAT)
    assert started["Location"].startswith("https://open.weixin.qq.com/connect/oauth2/authorize?")
    assert BindingRequest.objects.get().next_url == "/profile/"


def test_a_link_on_another_site_starts_nothing(client, wechat):
    """The button's link holds what only this session knows, for this user and account."""
    link = button(client.get(url("bind"), headers=IN_WECHAT))
    mallory = Client()
    mallory.force_login(factories.make_user("mallory"))
    for forged in (f"{url('bind')}?start=1", url("bind") + "?start=", link.replace("=", "=x")):
        assert client.get(forged).status_code == 200
    assert mallory.get(link).status_code == 200
    assert client.get(link.replace("/default/", "/other/")).status_code == 200
    assert not BindingRequest.objects.exists()


def test_looking_costs_nothing(client, wechat):
    """However often somebody opens the pages, no row is written and WeChat is not asked."""
    for number in range(30):
        for page in ("bind", "bind_qr"):
            client.get(url(page, next_url=f"/{number}/"), headers=IN_WECHAT)
    assert not BindingRequest.objects.exists()
    assert not wechat.calls


@pytest.mark.parametrize("page", ["bind", "bind_qr"])
def test_one_person_cannot_start_without_end(client, wechat, page):
    """Ten times in ten minutes, whatever they want to do next; after that a page says so."""
    for number in range(30):
        answer = client.post(url(page, next_url=f"/{number}/"), headers=IN_WECHAT)
        if page == "bind_qr":
            BindingRequest.objects.update(state="failed")
    assert answer.status_code == 429
    assert "wait ten minutes" in answer.content.decode()
    assert BindingRequest.objects.count() == 10
    assert wechat.calls["/cgi-bin/qrcode/create"] in (0, 10)
    elsewhere = Client()
    elsewhere.force_login(factories.make_user("bob"))
    assert elsewhere.post(url(page)).status_code == 302


def test_one_code_serves_every_page_that_is_open(client, wechat):
    """Asking again shows the same code, and goes on to where the person wants to go now."""
    for number in range(30):
        client.post(url("bind_qr", next_url=f"/{number}/"))
    assert wechat.calls["/cgi-bin/qrcode/create"] == 1
    assert BindingRequest.objects.get().next_url == "/29/"


def test_a_post_starts_at_once(client):
    """With everything in the order that WeChat wants, and a return address on this host."""
    location = begin(client)
    assert location.endswith("#wechat_redirect")
    query = parse_qsl(urlsplit(location).query)
    assert [name for name, _ in query] == [
        "appid",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ]
    assert urlsplit(dict(query)["redirect_uri"]).path == "/wechat/default/bind/return/"
    assert dict(query)["scope"] == "snsapi_base"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("www.school.example", "https://www.school.example"),
        ("www.school.example:8000", "https://www.school.example"),
        ("app:8000", "https://www.school.example"),
        ("shop.example", "http://shop.example"),
        ("localhost:8000", "http://localhost:8000"),
    ],
)
def test_the_return_address_behind_a_proxy(client, configure, host, expected):
    """SITE_URL knows the scheme and the host that people use; another domain of the site has
    sessions of its own."""
    configure(SITE_URL="https://www.school.example")
    location = client.post(url("bind"), headers={"Host": host})["Location"]
    back = dict(parse_qsl(urlsplit(location).query))["redirect_uri"]
    assert back == f"{expected}/wechat/default/bind/return/"


def test_without_a_site_url_the_request_says_where_to_return(client, configure):
    """As it came."""
    configure(SITE_URL="")
    assert "redirect_uri=http%3A%2F%2Ftestserver%2Fwechat%2F" in begin(client)


def test_another_site_cannot_post(alice):
    """Starting, and unbinding, need the site's own form."""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(url("bind")).status_code == 403
    assert strict.post(url("unbind")).status_code == 403


def test_the_authorise_page_is_the_accounts(client, configure):
    """AUTHORIZE_BASE names another host, such as the sandbox."""
    configure(default={"AUTHORIZE_BASE": "http://127.0.0.1:8899"})
    assert begin(client).startswith("http://127.0.0.1:8899/connect/oauth2/authorize?")


def test_a_site_may_ask_for_userinfo(alice, rf):
    """By a view of its own with another scope."""
    request = rf.post("/")
    request.user, request.session = alice, {}
    request._dont_enforce_csrf_checks = True
    answer = BindView.as_view(scope=oauth.USERINFO)(request, account="default")
    assert "scope=snsapi_userinfo" in answer["Location"]


def test_coming_back_binds_and_goes_on(client, alice, come_back):
    """To where the person wanted to go."""
    answer = come_back(client, begin(client, "/profile/"))
    assert (answer.status_code, answer["Location"]) == (302, "/profile/")
    assert OpenIDBinding.objects.get().user == alice


def test_coming_back_with_nowhere_to_go(client, come_back):
    """The page shows what is bound."""
    answer = come_back(client, begin(client))
    assert answer["Location"] == url("bind")
    page = client.get(url("bind")).content.decode()
    assert "WeChat is bound" in page
    assert "oTes…007" in page
    assert OPENID not in page


def test_who_does_not_follow_is_told_first(client, wechat, come_back):
    """Bound, but messages would not arrive: the page says so, and offers the code to follow."""
    wechat.account.any_openid = False
    wechat.unfollow(OPENID)
    answer = come_back(client, begin(client, "/profile/"))
    assert answer["Location"] == url("bind", next_url="%2Fprofile%2F")
    page = client.get(answer["Location"]).content.decode()
    assert "One more step" in page
    assert url("bind_qr") in page
    assert 'href="/profile/"' in page


def test_login_csrf(client, wechat, come_back):
    """An attacker's own return address, opened by somebody else, binds nobody."""
    mallory = Client()
    mallory.force_login(factories.make_user("mallory"))
    answer = come_back(client, begin(mallory))
    assert answer.status_code == 400
    assert "start again" in answer.content.decode()
    assert not OpenIDBinding.objects.exists()
    assert not wechat.calls


def test_a_state_does_not_outlive_the_session(client, alice, come_back):
    """Even the same user in another browser has to start again."""
    location = begin(client)
    elsewhere = Client()
    elsewhere.force_login(alice)
    assert come_back(elsewhere, location).status_code == 400
    assert not OpenIDBinding.objects.exists()


def test_the_next_user_of_a_browser_does_not_inherit_it(client, come_back):
    """Signing out and in as another user ends what was begun."""
    location = begin(client)
    client.logout()
    client.force_login(factories.make_user("bob"))
    assert come_back(client, location).status_code == 400
    assert not OpenIDBinding.objects.exists()


def test_a_state_is_good_once(client, come_back):
    """Replayed with another code it binds nobody; the person is told that all is well."""
    location = begin(client)
    come_back(client, location)
    answer = come_back(client, location, openid=factories.openid(8))
    assert answer.status_code == 400
    assert "opened a second time" in answer.content.decode()
    assert OpenIDBinding.objects.get().openid == OPENID


def test_a_spent_code_goes_back_to_wechat_once(client, wechat, come_back):
    """Once by itself; after that a page that says so."""
    wechat.fail(40163, path="/sns/oauth2/access_token", times=2)
    first = come_back(client, begin(client, "/profile/"))
    assert first["Location"].startswith("https://open.weixin.qq.com/connect/oauth2/authorize?")
    second = come_back(client, first["Location"])
    assert second.status_code == 502
    assert 'href="/profile/"' in second.content.decode()


@pytest.mark.parametrize(
    ("status", "words"), [(200, "You did not allow it"), (403, "snapshot"), (409, "another user")]
)
def test_why_it_was_not_bound(client, wechat, come_back, status, words):
    """Declined, a snapshot, somebody else's: each is a kind page with a way to start again."""
    openid = "" if status == 200 else OPENID
    wechat.follow(User(OPENID, snapshot=status == 403))
    if status == 409:
        factories.make_binding(openid=OPENID)
    answer = come_back(client, begin(client), openid=openid)
    page = answer.content.decode()
    assert answer.status_code == status
    assert words in page
    assert f'href="{url("bind")}"' in page
    assert OPENID not in page


def test_the_return_is_in_no_transaction():
    """A site's ATOMIC_REQUESTS must hold no transaction open while WeChat thinks, nor undo that a
    state was used."""
    assert BindReturnView.as_view()._non_atomic_requests == {"default"}


# -- where it leads afterwards


@pytest.mark.parametrize("wanted", OUTSIDE)
def test_no_open_redirect_by_web_authorisation(client, come_back, wanted):
    """Nobody is led out of the site, whatever the link said."""
    assert come_back(client, begin(client, wanted))["Location"] == url("bind")


@pytest.mark.parametrize("wanted", OUTSIDE)
def test_no_open_redirect_by_unbinding(client, wanted):
    """Nor by the form."""
    assert client.post(url("unbind"), {"next": wanted})["Location"] == url("bind")


@pytest.mark.parametrize("wanted", OUTSIDE[:6])
def test_no_open_redirect_by_a_link(client, alice, wechat, wanted):
    """Nor by any link of the pages, or by what the QR page goes on to."""
    client.post(url("bind_qr"), {"next": wanted})
    shown = BindingRequest.objects.get()
    assert client.get(url("bind_qr_status", shown.pk)).json()["location"] == url("bind")
    factories.make_binding(alice)
    assert "evil" not in client.get(url("bind"), {"next": wanted}).content.decode()


def test_a_site_may_allow_other_hosts(alice, rf):
    """By a view of its own, as with Django's LoginView."""
    request = rf.post("/", {"next": "https://other.example/"})
    request.user, request.session = alice, {}
    view = BindView.as_view(success_url_allowed_hosts=frozenset({"other.example"}))
    view(request, account="default")
    assert BindingRequest.objects.get().next_url == "https://other.example/"


def test_a_secure_page_leads_to_secure_pages_only(client):
    """Not from https to http."""
    client.post(url("bind"), {"next": "http://testserver/"}, secure=True)
    assert BindingRequest.objects.get().next_url == ""


RELATIVE = ["profile", "?tab=wechat", "#wechat", "profile/x.html", "wechat_notify:bind", ".."]


@pytest.mark.parametrize("wanted", RELATIVE)
def test_an_address_that_is_relative_to_a_page_leads_nowhere(client, come_back, wanted):
    """The person is bound, and sees what is bound: it was relative to another page."""
    answer = come_back(client, begin(client, wanted))
    assert (answer.status_code, answer["Location"]) == (302, url("bind"))
    assert client.post(url("unbind"), {"next": wanted})["Location"] == url("bind")


@pytest.mark.parametrize("wanted", ["/" + "a" * 1_400, "/" + "字" * 160])
def test_a_long_address_is_kept_or_left_out(client, come_back, wanted):
    """Django redirects to 2,048 characters at most: nobody is bound and then shown an error."""
    assert come_back(client, begin(client, wanted))["Location"] == iri_to_uri(wanted)
    for longer in (wanted * 2, wanted * 9):
        assert come_back(client, begin(client, longer))["Location"] == url("bind")


@pytest.mark.parametrize("digits", [40, 5_000])
def test_keys_without_end(client, digits):
    """404, as for any other key that does not exist; a 40-digit one fits no column."""
    path = url("bind_qr")
    for end in ("/", ".png"):
        assert client.get(f"{path}{'1' * digits}{end}").status_code == 404
    assert client.post(url("unbind"), {"binding": "1" * digits}).status_code == 302


# -- the QR code


def test_a_code_is_asked_for_by_a_form(client, wechat):
    """It works without scripts: a button, its POST, and back to the page with the code."""
    page = client.get(url("bind_qr", next_url="/profile/"))
    assert f'<form method="post" action="{url("bind_qr")}?next=' in page.content.decode()
    assert "bind.js" not in page.content.decode()
    answer = client.post(url("bind_qr", next_url="/profile/"))
    assert answer["Location"] == url("bind_qr", next_url="%2Fprofile%2F")
    assert "QR code to scan" in client.get(answer["Location"]).content.decode()


def test_the_code_is_shown(client, shown):
    """A page with a picture of its own, without scripts or styles in it."""
    page = client.get(url("bind_qr", next_url="/profile/")).content.decode()
    assert url("bind_qr_image", shown.pk) in page
    assert "bind.js" in page
    assert "<style" not in page
    assert "style=" not in page
    assert "onclick" not in page
    picture = client.get(url("bind_qr_image", shown.pk))
    assert picture["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


def test_the_page_notices_the_scan(client, wechat, shown):
    """It waits, then hears that the person is bound and where to go."""
    status = url("bind_qr_status", shown.pk)
    assert client.get(status).json() == {"state": "waiting", "location": "/profile/"}
    scan(wechat)
    assert client.get(status).json() == {"state": "bound", "location": "/profile/"}


def test_the_page_notices_a_conflict(client, wechat, shown):
    """An openid of another user."""
    factories.make_binding(openid=OPENID)
    scan(wechat)
    assert client.get(url("bind_qr_status", shown.pk)).json()["state"] == "conflict"


def test_the_page_notices_that_time_is_up(client, shown):
    """After ten minutes."""
    BindingRequest.objects.update(expires_at=shown.created_at)
    assert client.get(url("bind_qr_status", shown.pk)).json()["state"] == "expired"


def test_nobody_else_sees_a_code(shown, alice):
    """Another user, and another browser of the same user, get 404 for picture and state."""
    bob = Client()
    bob.force_login(factories.make_user("bob"))
    elsewhere = Client()
    elsewhere.force_login(alice)
    for stranger in (bob, elsewhere):
        for name in ("bind_qr_status", "bind_qr_image"):
            assert stranger.get(url(name, shown.pk)).status_code == 404


def test_web_authorisation_has_no_code(client):
    """A request of the other kind is not shown as a code."""
    begin(client)
    pk = BindingRequest.objects.get().pk
    assert client.get(url("bind_qr_status", pk)).status_code == 404


def test_who_is_bound_needs_no_code(client, alice, wechat):
    """The page that shows what is bound comes instead, and WeChat is asked for nothing."""
    factories.make_binding(alice)
    for ask in (client.get, client.post):
        answer = ask(url("bind_qr", next_url="/profile/"))
        assert answer["Location"] == url("bind", next_url="%2Fprofile%2F")
    assert not wechat.calls


def test_who_no_longer_follows_gets_a_code(client, alice, wechat):
    """Scanning it makes them follow again."""
    factories.make_binding(alice, subscribed=False)
    page = client.get(url("bind")).content.decode()
    assert url("bind_qr") in page
    assert "or search for “default”" in page
    assert "Follow the account" in client.get(url("bind_qr")).content.decode()
    answer = client.post(url("bind_qr"), follow=True)
    assert "QR code to scan" in answer.content.decode()


def test_no_code_from_wechat(client, wechat):
    """A kind page."""
    wechat.http_error(502, path="/cgi-bin/qrcode/create")
    answer = client.post(url("bind_qr", next_url="/profile/"))
    assert answer.status_code == 502
    assert "try again" in answer.content.decode()


@pytest.fixture(params=["callbacks", "codes", "extra"])
def without_codes(request, wechat, configure, monkeypatch):
    """A scan would tell the site nothing; the backend has no codes; none can be drawn."""
    if request.param == "callbacks":
        configure(default={"CALLBACK_TOKEN": ""})
    elif request.param == "codes":
        configure(default={"BACKEND": "wechat_notify.backends.locmem.LocMemBackend"})
    else:
        monkeypatch.setattr("wechat_notify.binding.drawing.segno", None)


def test_without_codes_none_is_offered(client, without_codes):
    """Web authorisation is left; the addresses of codes lead to the page that offers it."""
    page = client.get(url("bind")).content.decode()
    assert "I am in WeChat on this device" in page
    assert url("bind_qr") not in page
    for ask in (client.get, client.post):
        answer = ask(url("bind_qr", next_url="/profile/"))
        assert answer["Location"] == url("bind", next_url="%2Fprofile%2F")
    assert not BindingRequest.objects.exists()


def test_without_codes_it_says_how_to_follow(client, alice, without_codes):
    """Who no longer follows searches for the account."""
    factories.make_binding(alice, subscribed=False)
    page = client.get(url("bind_qr"), follow=True).content.decode()
    assert "Search for “default” in WeChat" in page
    assert url("bind_qr") not in page
    assert client.post(url("bind_qr"))["Location"] == url("bind")


# -- unbinding


def test_unbinding_all(client, alice):
    """Every openid of the user on the account, and nobody else's."""
    for number in (1, 2):
        factories.make_binding(alice, number)
    factories.make_binding(number=3)
    answer = client.post(url("unbind"), {"next": "/profile/"})
    assert answer["Location"] == "/profile/"
    assert not OpenIDBinding.objects.filter(user=alice).exists()
    assert OpenIDBinding.objects.count() == 1


def test_unbinding_one(client, alice):
    """The named one; somebody else's is left alone."""
    mine, other = factories.make_binding(alice, 1), factories.make_binding(alice, 2)
    theirs = factories.make_binding(number=3)
    for wrong in (theirs.pk, "nonsense"):
        answer = client.post(url("unbind"), {"binding": wrong, "next": "/profile/"})
        # Not on to where somebody wanted to be after it, as if it had been done.
        assert answer["Location"] == url("bind", next_url="%2Fprofile%2F")
    assert OpenIDBinding.objects.count() == 3
    client.post(url("unbind"), {"binding": mine.pk})
    assert set(OpenIDBinding.objects.all()) == {other, theirs}


def test_unbinding_after_the_session_has_ended(client, alice):
    """The login leads to the page with the button, which a GET can show."""
    binding = factories.make_binding(alice)
    client.logout()
    answer = client.post(url("unbind"), {"binding": binding.pk, "next": "/profile/"})
    query = dict(parse_qsl(urlsplit(answer["Location"]).query))
    assert query == {"next": url("bind", next_url="%2Fprofile%2F")}
    client.force_login(alice)
    assert client.get(query["next"]).status_code == 200
    assert OpenIDBinding.objects.exists()


def test_unbinding_by_a_link_does_nothing(client, alice):
    """A GET changes nothing."""
    factories.make_binding(alice)
    assert client.get(url("unbind")).status_code == 405
    assert OpenIDBinding.objects.exists()


# -- on a site's own pages


def test_the_button_outside_wechat(client):
    """It leads to the QR code, and back to the page it stands on."""
    page = client.get("/profile/?tab=1").content.decode()
    assert f'href="{url("bind_qr")}?next=%2Fprofile%2F%3Ftab%3D1"' in page
    assert "Bind WeChat" in page


def test_the_button_in_wechat(client):
    """It leads to web authorisation."""
    page = client.get("/profile/", headers=IN_WECHAT).content.decode()
    assert f'href="{url("bind")}?next=%2Fprofile%2F"' in page


def test_the_button_once_bound(client, alice):
    """What is bound, with a form to forget it that works as it stands there."""
    binding = factories.make_binding(alice, openid=OPENID)
    page = client.get("/profile/").content.decode()
    assert "oTes…007" in page
    assert OPENID not in page
    assert f'name="binding" value="{binding.pk}"' in page
    assert "csrfmiddlewaretoken" in page
    assert "Follows the account" in page
    assert "Follow the account" not in page


def test_the_button_for_who_no_longer_follows(client, alice):
    """It says so, and leads to the code."""
    factories.make_binding(alice, subscribed=False)
    page = client.get("/profile/").content.decode()
    assert "Does not follow" in page
    assert url("bind_qr") in page


def test_the_button_of_another_account(client, alice):
    """Its own bindings, its own pages, and where to go next."""
    factories.make_binding(alice)
    request = RequestFactory().get("/profile/")
    request.user = alice
    source = '{% load wechat_notify %}{% wechat_bind_button "other" next_url="/done/" %}'
    page = engines["django"].from_string(source).render({}, request)
    assert '"/wechat/other/bind/qr/?next=%2Fdone%2F"' in page


def test_a_page_for_bound_people(client, alice):
    """Others are sent to bind, and come back; who is not signed in signs in first."""
    assert Client().get("/notices/")["Location"] == "/accounts/login/?next=/notices/"
    location = client.get("/notices/", headers=IN_WECHAT)["Location"]
    assert location.startswith(url("bind"))
    assert parse_qs(urlsplit(location).query) == {"next": ["/notices/"]}
    binding = factories.make_binding(alice)
    assert client.get("/notices/").content == b"notices"
    binding.subscribed = False
    binding.save()
    assert client.get("/notices/")["Location"].startswith(url("bind_qr"))


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [("小明", "王", "王小明"), ("Ada", "Lovelace", "Ada Lovelace"), ("", "", "alice")],
)
def test_a_name_stands_as_it_is_written(first, last, shown):
    """The family name comes first in Chinese, and a user name is better than nothing."""
    user = get_user_model()(username="alice", first_name=first, last_name=last)
    page = render_to_string("wechat_notify/bind_person.html", {"person": user})
    assert f"<dd>{shown}</dd>" in page
