"""Web authorisation on the wire, and binding by it, against a fake WeChat over real HTTP."""

import logging
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests import factories
from tests.caches import cache_contents
from wechat_notify.backends.locmem import LocMemBackend
from wechat_notify.backends.registry import get_backend
from wechat_notify.binding import attempts, by_oauth
from wechat_notify.binding.attempts import Visitor
from wechat_notify.binding.by_oauth import Result
from wechat_notify.exceptions import ConfigurationError, TokenError, TransportError, WeChatError
from wechat_notify.models import BindingChange, BindingRequest, OpenIDBinding
from wechat_notify.sandbox.records import User
from wechat_notify.types import Authorization
from wechat_notify.wechat import oauth

OPENID = factories.openid(7)
BACK = "https://school.example/wechat/default/bind/return/"


def address(**changes):
    given = {"app_id": "wx1", "redirect_uri": BACK, "state": "abc", **changes}
    return oauth.authorize_url("https://open.weixin.qq.com", **given)


@pytest.fixture
def visitor(db):
    return Visitor(factories.make_user(), "default", "the browser's secret")


@pytest.fixture
def code(wechat):
    """A code as WeChat gives it to somebody who agreed."""

    def issue(openid=OPENID, scope=oauth.BASE):
        return wechat.state.logins.issue(openid, scope)

    return issue


def begin(visitor, **options):
    """Start an authorisation; its state comes back."""
    location = by_oauth.start(visitor, redirect_uri=BACK, **options)
    return dict(parse_qsl(urlsplit(location).query))["state"]


def complete(visitor, state, code):
    return by_oauth.complete(visitor, state=state, code=code, redirect_uri=BACK)


# -- the wire


def test_the_address_is_as_wechat_wants_it():
    """Parameters in WeChat's order and case, the address encoded, the fragment at the end."""
    assert address() == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1"
        "&redirect_uri=https%3A%2F%2Fschool.example%2Fwechat%2Fdefault%2Fbind%2Freturn%2F"
        "&response_type=code&scope=snsapi_base&state=abc#wechat_redirect"
    )


@pytest.mark.parametrize("state", ["", "a" * 129, "a-b", "a b", "é", "abc\n"])
def test_a_state_that_wechat_would_not_take_is_refused(state):
    """Letters and digits only, 128 bytes at most: a longer one is an error page for people."""
    with pytest.raises(ValueError, match="state"):
        address(state=state)


def test_the_longest_state_is_taken():
    """128 characters are allowed."""
    assert "a" * 128 in address(state="a" * 128)


def test_an_unknown_scope_is_refused():
    """Only the two scopes of web authorisation exist."""
    with pytest.raises(ValueError, match="snsapi_userinfo"):
        address(scope="snsapi_login")


def test_a_code_tells_the_openid(wechat, code):
    """One exchange gives the openid of the person, and no unionid with snsapi_base."""
    wechat.follow(User(OPENID, unionid="uUNION"))
    person = get_backend("default").exchange_code(code())
    assert (person.openid, person.scope, person.unionid) == (OPENID, "snsapi_base", "")
    assert not person.is_snapshot


def test_userinfo_tells_the_unionid(wechat, code):
    """With snsapi_userinfo the unionid comes along."""
    wechat.follow(User(OPENID, unionid="uUNION"))
    assert get_backend("default").exchange_code(code(scope=oauth.USERINFO)).unionid == "uUNION"


def test_a_used_code_is_refused(code):
    """A second exchange is 40163, and the error says so."""
    given = code()
    get_backend("default").exchange_code(given)
    with pytest.raises(WeChatError) as refused:
        get_backend("default").exchange_code(given)
    assert refused.value.errcode == 40163
    assert "(errcode 40163)" in str(refused.value)


def test_an_expired_code_is_refused(wechat, code):
    """Five minutes on, the code is 42003."""
    given = code()
    wechat.advance(301)
    with pytest.raises(WeChatError) as refused:
        get_backend("default").exchange_code(given)
    assert refused.value.errcode == 42003


def test_a_wrong_secret_is_a_matter_of_the_settings(wechat, configure, code):
    """It is a TokenError, with the secret in none of its texts."""
    secret = "f" * 32
    configure(default={"APP_SECRET": secret, "API_BASE": wechat.url})
    with pytest.raises(TokenError) as refused:
        get_backend("default").exchange_code(code())
    assert refused.value.errcode == 40125
    assert secret not in str(refused.value) + repr(refused.value)


def test_no_secret_in_any_log_line(wechat, code, caplog):
    """Not even at level DEBUG, where urllib3 writes down every address."""
    caplog.set_level(logging.DEBUG)
    get_backend("default").exchange_code(code())
    assert "sns/oauth2" in caplog.text
    assert wechat.app_secret not in caplog.text


def test_an_answer_without_an_openid_is_no_answer(wechat, code):
    """What cannot be read raises TransportError."""
    wechat.truncate(path="/sns/oauth2/access_token")
    with pytest.raises(TransportError):
        get_backend("default").exchange_code(code())


def test_another_backend_says_that_it_cannot():
    """A backend without web authorisation names the account and what is missing."""
    with pytest.raises(ConfigurationError, match="default"):
        get_backend("default").exchange_code("any")


# -- binding


def test_who_comes_back_is_bound(visitor, code):
    """The openid of the code becomes the user's, with its origin and where to go next."""
    ending = complete(visitor, begin(visitor, next_url="/profile/"), code())
    assert (ending.result, ending.next_url) == (Result.BOUND, "/profile/")
    binding = OpenIDBinding.objects.get()
    assert (binding.user, binding.openid, binding.source) == (visitor.user, OPENID, "oauth")
    assert binding.subscribed
    assert binding.follow_changed_at is not None


def test_an_account_of_its_own_openid_kept_twice(visitor, code):
    """Binding the same WeChat again is no error and no second row."""
    for _ in range(2):
        assert complete(visitor, begin(visitor), code()).result is Result.BOUND
    assert OpenIDBinding.objects.count() == 1


def test_who_does_not_follow_is_known_not_to(visitor, wechat, code):
    """Nobody has to follow in order to authorise, so WeChat is asked."""
    wechat.account.any_openid = False
    wechat.unfollow(OPENID)
    assert complete(visitor, begin(visitor), code()).result is Result.BOUND
    assert not OpenIDBinding.objects.get().subscribed


def test_what_wechat_says_counts_for_a_binding_that_was_there(visitor, wechat, code):
    """One that a refused message marked is good again, and the other way round."""
    binding = factories.make_binding(
        visitor.user, openid=OPENID, subscribed=False, unreachable_errcode=43004
    )
    for follows in (True, False):
        wechat.account.any_openid = follows
        if not follows:
            wechat.unfollow(OPENID)
        assert complete(visitor, begin(visitor), code()).result is Result.BOUND
        binding.refresh_from_db()
        assert binding.subscribed is follows
        assert binding.unreachable_errcode is None
    changes = BindingChange.objects.order_by("pk").values_list("change", flat=True)
    assert list(changes) == ["subscribed", "unsubscribed"]


def test_what_wechat_says_counts_for_a_binding_that_moves(visitor, wechat, code, configure):
    """It comes with its new owner's own news, and not with what was thought of it before."""
    configure(BINDING_CONFLICT="move")
    binding = factories.make_binding(openid=OPENID, subscribed=False)
    assert complete(visitor, begin(visitor), code()).result is Result.BOUND
    binding.refresh_from_db()
    assert (binding.user, binding.subscribed) == (visitor.user, True)


def test_a_look_up_that_fails_does_not_stop_the_binding(visitor, wechat, code):
    """Where WeChat cannot say who follows, the person is bound and taken for a follower."""
    wechat.fail(48001, path="/cgi-bin/user/info")
    assert complete(visitor, begin(visitor), code()).result is Result.BOUND
    binding = OpenIDBinding.objects.get()
    assert binding.subscribed
    assert binding.follow_changed_at is None


class CodesOnly(LocMemBackend):
    """A third party's backend that can exchange codes and nothing more."""

    supports_oauth = True

    def exchange_code(self, code):
        openid, _, unionid = code.partition(" ")
        return Authorization(openid, unionid=unionid)


def test_a_backend_that_cannot_look_people_up(visitor, configure):
    """Whoever authorises is bound, and taken for a follower."""
    configure(default={"BACKEND": "tests.test_oauth.CodesOnly"})
    assert complete(visitor, begin(visitor), OPENID).result is Result.BOUND
    assert OpenIDBinding.objects.get().subscribed


def test_a_unionid_is_kept(visitor, wechat, code):
    """It comes with the code, or with the look-up."""
    wechat.follow(User(OPENID, unionid="uUNION"))
    complete(visitor, begin(visitor), code())
    assert OpenIDBinding.objects.get().unionid == "uUNION"


@pytest.mark.parametrize("unionid", ["u" * 500, "a\0b", "\ud800", " ", "{'a': 1}"])
def test_what_is_no_unionid_is_left_out(visitor, configure, unionid):
    """An odd answer binds the openid that it names, and breaks no column."""
    configure(default={"BACKEND": "tests.test_oauth.CodesOnly"})
    assert complete(visitor, begin(visitor), f"{OPENID} {unionid}").result is Result.BOUND
    assert OpenIDBinding.objects.get().unionid == ""


def test_a_snapshot_user_is_not_bound(visitor, wechat, code):
    """The openid of a snapshot page is nobody's."""
    wechat.change_user(OPENID, snapshot=True)
    assert complete(visitor, begin(visitor), code()).result is Result.SNAPSHOT
    assert not OpenIDBinding.objects.exists()


def test_no_code_means_no(visitor, wechat):
    """Whoever declines comes back without a code; the state is used up, WeChat is not asked."""
    state = begin(visitor)
    assert complete(visitor, state, "").result is Result.DECLINED
    assert complete(visitor, state, "").result is Result.STALE
    assert not wechat.calls


@pytest.mark.parametrize("errcode", [40029, 40163, 42003])
def test_a_spent_code_starts_again_once(visitor, wechat, code, errcode):
    """The person is sent to WeChat for another code, once, with a new state and all else kept."""
    wechat.fail(errcode, path="/sns/oauth2/access_token", times=2)
    first = complete(visitor, begin(visitor, next_url="/a/", scope=oauth.USERINFO), code())
    assert first.result is Result.AGAIN
    query = dict(parse_qsl(urlsplit(first.location).query))
    assert (query["scope"], query["redirect_uri"]) == (oauth.USERINFO, BACK)
    second = complete(visitor, query["state"], code())
    assert (second.result, second.next_url) == (Result.FAILED, "/a/")


def test_a_missing_code_by_wechats_word_is_a_no(visitor, wechat, code):
    """41008 is treated as declined."""
    wechat.fail(41008, path="/sns/oauth2/access_token")
    assert complete(visitor, begin(visitor), code()).result is Result.DECLINED


@pytest.mark.parametrize("openid", ["no openid", "x" * 65])
def test_what_is_no_openid_is_not_bound(visitor, code, openid):
    """An answer that makes no sense fails, and raises nothing."""
    assert complete(visitor, begin(visitor), code(openid)).result is Result.FAILED


def test_wechat_out_of_reach(visitor, wechat, code):
    """No answer is no binding, and the same code is never tried again."""
    wechat.reset(path="/sns/oauth2/access_token")
    state = begin(visitor)
    assert complete(visitor, state, code()).result is Result.FAILED
    assert wechat.calls["/sns/oauth2/access_token"] == 1
    assert complete(visitor, state, code()).result is Result.STALE


def test_another_users_openid_is_refused(visitor, code):
    """It stays whose it is, and the attempt is written down."""
    owner = factories.make_user("owner")
    factories.make_binding(owner, openid=OPENID)
    assert complete(visitor, begin(visitor), code()).result is Result.CONFLICT
    assert OpenIDBinding.objects.get().user == owner
    change = BindingChange.objects.get()
    assert (change.change, change.user, change.source) == ("refused", visitor.user, "oauth")


# -- the state


def test_a_state_is_good_once(visitor, code):
    """A replayed state binds nobody, whatever code comes with it."""
    state = begin(visitor)
    assert complete(visitor, state, code()).result is Result.BOUND
    assert complete(visitor, state, code(factories.openid(8))).result is Result.STALE
    assert OpenIDBinding.objects.get().openid == OPENID


def test_a_state_of_another_browser_is_refused(visitor, code):
    """Login CSRF: an attacker's state and code in somebody else's browser bind nobody."""
    attacker = Visitor(visitor.user, "default", "another browser's secret")
    assert complete(visitor, begin(attacker), code()).result is Result.STALE
    assert not OpenIDBinding.objects.exists()


def test_a_state_of_another_user_is_refused(visitor, code):
    """Whoever signs in meanwhile at the same browser does not get it; its owner still does."""
    other = Visitor(factories.make_user("other"), "default", visitor.browser)
    state = begin(visitor)
    assert complete(other, state, code()).result is Result.STALE
    assert complete(visitor, state, code()).result is Result.BOUND


def test_a_state_of_another_account_is_refused(visitor, code):
    """A state is of one account."""
    other = Visitor(visitor.user, "other", visitor.browser)
    assert complete(other, begin(visitor), code()).result is Result.STALE


def test_a_state_lasts_ten_minutes(visitor, code):
    """After that it is stale."""
    state = begin(visitor)
    request = BindingRequest.objects.get()
    request.expires_at -= attempts.LIFETIME
    request.save()
    assert complete(visitor, state, code()).result is Result.STALE


def test_an_invented_state_is_refused(visitor, code):
    """So is none at all."""
    begin(visitor)
    for state in ("", "0" * 32):
        assert complete(visitor, state, code()).result is Result.STALE


def test_the_table_holds_no_secret(visitor):
    """Neither the state nor the browser's secret can be read back; their reprs show nothing."""
    state = begin(visitor)
    row = BindingRequest.objects.values().get()
    assert state not in str(row)
    assert visitor.browser not in str(row) + repr(visitor)


def test_old_requests_are_swept(visitor):
    """A new request removes those that ended more than a day ago."""
    begin(visitor)
    old = BindingRequest.objects.get()
    old.expires_at -= attempts.LIFETIME + attempts.KEPT
    old.save()
    begin(visitor)
    assert not BindingRequest.objects.filter(pk=old.pk).exists()
    assert BindingRequest.objects.count() == 1


def test_nothing_of_it_is_in_the_cache(visitor):
    """A cache that processes do not share would lose every other person."""
    begin(visitor)
    assert cache_contents() == {}
