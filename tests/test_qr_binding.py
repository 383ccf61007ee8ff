"""Binding by QR code: what a scan may do, and what it must not."""

import logging
import sys
from datetime import timedelta
from importlib import reload

import pytest
from django.core.signing import Signer
from django.utils import timezone

from tests import factories
from tests.databases import refusing
from wechat_notify.binding import attempts, by_qrcode, drawing
from wechat_notify.binding.attempts import Visitor
from wechat_notify.exceptions import ConfigurationError, WeChatError
from wechat_notify.models import BindingChange, BindingRequest, OpenIDBinding

OPENID = factories.openid(7)
SOMEBODY_ELSE = factories.openid(8)
State = BindingRequest.State


@pytest.fixture
def visitor(db):
    return Visitor(factories.make_user(), "default", "the browser's secret")


@pytest.fixture
def shown(wechat, visitor):
    """A code on the visitor's screen."""
    return by_qrcode.show(visitor, next_url="/profile/")


@pytest.fixture
def scene(wechat, shown):
    """What is in that code."""
    return wechat.state.codes()[0].scene


def scan(scene, openid=OPENID, account="default", happened_at=None):
    by_qrcode.on_scan(account, openid, scene, happened_at=happened_at or timezone.now())


def expire(request):
    request.expires_at = timezone.now() - timedelta(seconds=1)
    request.save()


# -- the code


def test_the_code_is_what_wechat_takes(wechat, shown, scene):
    """A temporary code with a text of at most 64 characters, gone after ten minutes."""
    assert 1 <= len(scene) <= 64
    assert 590 < wechat.state.codes()[0].expires_at - wechat.state.clock.time() <= 600
    assert timedelta(minutes=9) < shown.expires_at - timezone.now() <= timedelta(minutes=10)


def test_the_code_names_nobody(shown, scene):
    """Neither the user nor the session can be read from it."""
    assert str(shown.user) not in scene
    assert shown.token not in scene


def test_a_page_that_is_loaded_again_shows_the_same_code(wechat, visitor, shown):
    """A reload costs no call, until there is little time left to scan."""
    assert by_qrcode.show(visitor, next_url="/profile/") == shown
    assert wechat.calls["/cgi-bin/qrcode/create"] == 1
    shown.expires_at -= by_qrcode.FRESH
    shown.save()
    assert by_qrcode.show(visitor, next_url="/profile/") != shown


def test_a_used_code_is_not_shown_again(visitor, shown, scene):
    """Once it was scanned the page gets another."""
    scan(scene)
    assert by_qrcode.show(visitor, next_url="/profile/") != shown


def test_another_browser_gets_a_code_of_its_own(visitor, shown):
    """Codes are shown to the session that asked for them."""
    elsewhere = Visitor(visitor.user, "default", "another secret")
    assert by_qrcode.show(elsewhere, next_url="/profile/") != shown


def test_the_picture_holds_the_codes_address(shown):
    """A PNG of a fair size, made here."""
    picture = by_qrcode.image(shown)
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") >= 300


def test_no_code_from_wechat_is_an_error_and_is_not_shown(wechat, visitor):
    """A request without a code would wait for nothing; it only counts for the limit."""
    wechat.fail(48001, path="/cgi-bin/qrcode/create")
    with pytest.raises(WeChatError):
        by_qrcode.show(visitor)
    assert BindingRequest.objects.get().state == State.FAILED
    assert by_qrcode.on_show(visitor) is None


def test_without_segno_it_says_what_to_install(visitor, monkeypatch):
    """The module imports; only asking for a code complains."""
    try:
        monkeypatch.setitem(sys.modules, "segno", None)
        reload(drawing)
        with pytest.raises(ConfigurationError, match=r"django-wechat-notify\[qr\]"):
            by_qrcode.show(visitor)
    finally:
        monkeypatch.undo()
        reload(drawing)


def test_a_backend_without_codes_says_so(visitor):
    """The complaint names the backend and the account."""
    with pytest.raises(ConfigurationError, match="LocMemBackend"):
        by_qrcode.show(visitor)


# -- the scan


def test_a_scan_binds(visitor, shown, scene):
    """Whoever scans is bound to the user who shows the code, as a follower since then."""
    happened_at = timezone.now() - timedelta(seconds=3)
    scan(scene, happened_at=happened_at)
    binding = OpenIDBinding.objects.get()
    assert (binding.user, binding.openid, binding.source) == (visitor.user, OPENID, "qr")
    assert binding.subscribed
    assert binding.follow_changed_at == happened_at
    shown.refresh_from_db()
    assert shown.state == State.BOUND


@pytest.mark.django_db(transaction=True)
def test_a_scan_binds_after_a_conflict(visitor, shown, scene):
    """The code is not used up by what the database has undone."""
    with refusing(2) as refused:
        scan(scene)
    assert len(refused) == 2
    assert OpenIDBinding.objects.get().user == visitor.user


def test_a_scene_is_good_once(shown, scene):
    """Replay: a second scan, by the same person or another, changes nothing."""
    scan(scene)
    scan(scene)
    scan(scene, SOMEBODY_ELSE)
    assert OpenIDBinding.objects.get().openid == OPENID
    assert BindingChange.objects.count() == 1


def test_a_scene_is_not_good_after_ten_minutes(shown, scene):
    """An expired code binds nobody."""
    expire(shown)
    scan(scene)
    assert not OpenIDBinding.objects.exists()


def test_a_forged_scene_is_no_scene(shown, scene, django_assert_num_queries):
    """Changed anywhere, or signed with another key, it is not even looked up."""
    nonce, _, signature = scene.partition(".")
    flipped = ("B" if nonce[0] == "A" else "A") + nonce[1:]
    forged = [
        f"{flipped}.{signature}",
        nonce,
        f"{nonce}.",
        Signer(key="another key", salt="wechat_notify.qr_binding.default", sep=".").sign(nonce),
        "promo_2026",
        "",
    ]
    with django_assert_num_queries(0):
        for scene_ in forged:
            scan(scene_)
    assert not OpenIDBinding.objects.exists()


def test_a_scene_of_another_account_is_no_scene(shown, scene):
    """An openid means something on one account only."""
    scan(scene, account="other")
    assert not OpenIDBinding.objects.exists()


def test_a_scene_binds_to_its_own_user_alone(wechat, shown, scene):
    """A code that was shown to one user never binds to another, whatever else is on show."""
    other = Visitor(factories.make_user("other"), "default", "another secret")
    theirs = by_qrcode.show(other)
    scan(scene)
    assert OpenIDBinding.objects.get().user == shown.user
    theirs.refresh_from_db()
    assert theirs.state == State.WAITING


def test_a_state_of_web_authorisation_is_no_scene(visitor):
    """The two kinds of request cannot stand in for each other."""
    attempts.begin(visitor, source="oauth", token="x" * 16)
    scan(Signer(salt="wechat_notify.qr_binding.default", sep=".").sign("x" * 16))
    assert not OpenIDBinding.objects.exists()


def test_a_user_who_was_locked_out_is_not_bound(visitor, shown, scene):
    """Between the code and the scan the user was deactivated."""
    visitor.user.is_active = False
    visitor.user.save()
    scan(scene)
    assert not OpenIDBinding.objects.exists()
    shown.refresh_from_db()
    assert shown.state == State.FAILED


def test_what_is_no_openid_is_not_bound(shown, scene):
    """WeChat's callback is answered all the same, and the page says that it failed."""
    scan(scene, openid="no openid")
    shown.refresh_from_db()
    assert shown.state == State.FAILED


def test_another_users_openid_is_refused(visitor, shown, scene):
    """It stays whose it is; the page is told, and the attempt is written down."""
    owner = factories.make_user("owner")
    factories.make_binding(owner, openid=OPENID)
    scan(scene)
    assert OpenIDBinding.objects.get().user == owner
    shown.refresh_from_db()
    assert shown.state == State.CONFLICT
    change = BindingChange.objects.get()
    assert (change.change, change.user, change.openid) == ("refused", visitor.user, OPENID)


def test_no_openid_in_any_log_line(shown, scene, caplog):
    """Scans are logged without saying who scanned what."""
    caplog.set_level(logging.DEBUG)
    scan(scene)
    scan(scene)
    assert "was scanned" in caplog.text
    assert OPENID not in caplog.text
    assert scene not in caplog.text
