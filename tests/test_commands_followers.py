"""manage.py wechat_sync_followers: both directions, in pages, and on from where it stopped."""

import io
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
from django.core.management import CommandError, call_command

from tests.caches import cache_contents
from tests.factories import make_bindings, openid
from wechat_notify.backends.locmem import LocMemBackend
from wechat_notify.models import BindingChange, OpenIDBinding
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.types import Follower, FollowerPage

pytestmark = pytest.mark.django_db(transaction=True)

GET = "/cgi-bin/user/get"
BATCHGET = "/cgi-bin/user/info/batchget"


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def sync(*arguments: str, out: io.StringIO | None = None) -> str:
    stream = out or io.StringIO()
    call_command("wechat_sync_followers", *arguments, stdout=stream)
    return stream.getvalue()


@pytest.fixture
def followers(wechat: Sandbox) -> list[OpenIDBinding]:
    """Ten bindings, all taken for followers; the last two are none; pages of three."""
    wechat.account.page_size = 3
    wechat.account.any_openid = False
    for user in wechat.state.users():
        wechat.unfollow(user.openid)
    bindings = make_bindings(10)
    for binding in bindings:
        wechat.follow(binding.openid)
    for binding in bindings[-2:]:
        wechat.unfollow(binding.openid)
    return bindings


def followed() -> list[bool]:
    rows = OpenIDBinding.objects.order_by("pk")
    return list(rows.values_list("subscribed", flat=True))


def test_both_directions(followers: list[OpenIDBinding], wechat: Sandbox) -> None:
    """Those who left are marked, wrongly marked ones healed, and the rest is only dated."""
    OpenIDBinding.objects.filter(pk=followers[0].pk).update(
        subscribed=False, unreachable_errcode=43004
    )
    told = sync("--account", "default")
    assert followed() == [True] * 8 + [False] * 2
    assert "8 followers listed" in told
    assert "1 follow again, 2 do not follow any more" in told
    assert wechat.calls[GET] == 3
    assert BindingChange.objects.count() == 3


def test_only_those_on_no_page_are_asked_about(
    followers: list[OpenIDBinding], wechat: Sandbox
) -> None:
    """One call for both, not one for each of a hundred thousand."""
    sync("--account", "default")
    assert wechat.calls[BATCHGET] == 1
    assert "0 bindings asked about" in sync("--account", "default")


def test_an_interrupted_run_goes_on(followers: list[OpenIDBinding], wechat: Sandbox) -> None:
    """From the page it had come to; a finished one leaves nothing behind."""
    wechat.fail(48001, after=1, path=GET)
    with pytest.raises(CommandError, match="goes on where it stopped"):
        sync("--account", "default")
    wechat.clear_faults()
    before = wechat.calls[GET]
    told = sync("--account", "default")
    assert wechat.calls[GET] - before == 2
    assert "8 followers listed" in told
    assert "went on where the last run stopped" in told
    assert followed() == [True] * 8 + [False] * 2
    assert "went on" not in sync("--account", "default")


def test_an_interrupted_run_goes_on_with_a_cache_that_keeps_only_json(
    followers: list[OpenIDBinding], wechat: Sandbox, settings: Any
) -> None:
    """The place in the list is made of JSON's own types."""
    settings.CACHES = {
        "default": {"BACKEND": "tests.caches.KeepsJSON", "LOCATION": "json-followers"}
    }
    test_an_interrupted_run_goes_on(followers, wechat)


def test_interrupted_while_asking(followers: list[OpenIDBinding], wechat: Sandbox) -> None:
    """The pages need not be read again."""
    wechat.fail(48001, path=BATCHGET)
    with pytest.raises(CommandError):
        sync("--account", "default")
    wechat.clear_faults()
    before = wechat.calls[GET]
    sync("--account", "default")
    assert wechat.calls[GET] == before
    assert followed() == [True] * 8 + [False] * 2


def test_restart(followers: list[OpenIDBinding], wechat: Sandbox) -> None:
    """Begins with the first page again."""
    wechat.fail(48001, path=BATCHGET)
    with pytest.raises(CommandError):
        sync("--account", "default")
    wechat.clear_faults()
    before = wechat.calls[GET]
    sync("--account", "default", "--restart")
    assert wechat.calls[GET] - before == 3


def test_nobody_follows(wechat: Sandbox, followers: list[OpenIDBinding]) -> None:
    """An empty list has no data element, and is the end."""
    for binding in followers:
        wechat.unfollow(binding.openid)
    assert "0 followers listed" in sync("--account", "default")
    assert followed() == [False] * 10


def test_more_than_one_chunk_and_one_hundred(wechat: Sandbox) -> None:
    """Long pages are compared in pieces, long rests asked about in batches."""
    wechat.account.any_openid = False
    bindings = make_bindings(1_250)
    for binding in bindings[:1_100]:
        wechat.follow(binding.openid)
    for binding in bindings[1_100:]:
        wechat.unfollow(binding.openid)
    told = sync("--account", "default")
    assert (wechat.calls[GET], wechat.calls[BATCHGET]) == (1, 2)
    assert "150 do not follow any more" in told
    assert followed() == [True] * 1_100 + [False] * 150


class Repeating(LocMemBackend):
    """An account whose list of followers never ends; ``PAGES`` says which page follows which."""

    PAGES: ClassVar = {}
    supports_users = True

    def get_followers(self, next_openid: str = "") -> FollowerPage:
        return FollowerPage(2, [openid(1)], self.PAGES[next_openid])

    def get_users(self, openids: Sequence[str]) -> list[Follower]:
        return [Follower(who, subscribed=who == openid(2)) for who in openids]


@pytest.mark.parametrize(
    "pages", [{"": "a", "a": "a"}, {"": "a", "a": "b", "b": "a"}], ids=["same", "cycle"]
)
def test_a_list_that_repeats_a_page_ends(
    configure: Callable[..., None], monkeypatch: Any, pages: dict[str, str]
) -> None:
    """Whoever was on no page is asked about, so nobody is marked by mistake."""
    configure(default={"BACKEND": f"{__name__}.Repeating"})
    monkeypatch.setattr(Repeating, "PAGES", pages)
    make_bindings(3)
    told = sync("--account", "default")
    assert "2 bindings asked about" in told
    assert followed() == [True, True, False]
    assert "went on" not in sync("--account", "default")


def test_accounts_that_cannot_be_asked_are_skipped(
    followers: list[OpenIDBinding], configure: Callable[..., None]
) -> None:
    """With no account named, those that know no followers are only mentioned."""
    told = sync()
    assert "default: 8 followers" in told
    assert "other: its backend knows no followers" in told
    with pytest.raises(CommandError, match="other"):
        sync("--account", "other")
    with pytest.raises(CommandError, match="nobody"):
        sync("--account", "nobody")


def test_a_terminal_shows_a_bar(followers: list[OpenIDBinding]) -> None:
    """It is drawn, and wiped away in the end; elsewhere there is none."""
    shown = sync("--account", "default", out=Terminal())
    assert "[#########" in shown
    assert "3 followers listed" in shown
    assert shown.rsplit("\r", 1)[1].startswith("\x1b[Kdefault: 8 followers")
    assert "\r" not in sync("--account", "default")


def test_no_openid_stands_in_the_cache_key(followers: list[OpenIDBinding], wechat: Sandbox) -> None:
    """The place in the list is a value, kept for a day at most."""
    wechat.fail(48001, after=1, path=GET)
    with pytest.raises(CommandError):
        sync("--account", "default")
    keys = repr(list(cache_contents()))
    assert "wechat_notify:followers:default" in keys
    assert openid(1)[:12] not in keys
