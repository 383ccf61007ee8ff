"""The way to WeChat: whether it answers, and what keeps messages from leaving."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from ..account_state import Closure, closed_ways
from ..backends.base import BaseBackend
from ..exceptions import TokenError, TransportError, WeChatError
from ..sending.breaker import Breaker, Rest
from ..wechat.errors import ErrorInfo, Treatment, describe, refused_ip
from .finding import Finding, Level, local, sentences

# A way that is closed for less may open again by itself.
PASSING = timedelta(minutes=5)


def ask_wechat(backend: BaseBackend) -> Iterator[Finding]:
    """Asking for the quota needs a token, so it proves the whole way there and back."""
    if not backend.supports_diagnosis:
        text = _("WeChat: %(backend)s does not talk to WeChat.")
        yield Finding(Level.NOTE, text % {"backend": type(backend).__name__})
        return
    try:
        quota = backend.get_quota()
    except TokenError as error:
        yield _no_token(error)
    except WeChatError as error:
        yield from _refused(error)
    except TransportError as error:
        yield Finding(
            Level.PROBLEM,
            _("WeChat cannot be reached: %(error)s") % {"error": error},
            _("Look at this machine's network, proxy and the account's API_BASE."),
        )
    else:
        yield Finding(Level.OK, _("WeChat: answers, and takes the access token."))
        numbers = {"used": quota.used, "limit": quota.daily_limit}
        text = _("Quota: %(used)d of %(limit)d used today.") % numbers
        yield Finding(Level.OK if quota.remain > 0 else Level.NOTE, text)


def _no_token(error: TokenError) -> Finding:
    info = describe(error.errcode, endpoint="token")
    text = _("WeChat gives no access token: %(cause)s") % {"cause": info.cause_in_words()}
    if error.ip:
        return _not_whitelisted(text, error.ip)
    return Finding(Level.PROBLEM, text, str(info.next_step))


def _refused(error: WeChatError) -> Iterator[Finding]:
    """WeChat took the token, and does not answer this question."""
    info = describe(error.errcode)
    if info.treatment is Treatment.HOST:
        text = _("WeChat refuses this machine: %(cause)s") % {"cause": info.cause_in_words()}
        address = refused_ip(error.errmsg)
        whole = _not_whitelisted(text, address) if address else None
        yield whole or Finding(Level.PROBLEM, text, str(info.next_step))
        return
    yield Finding(Level.OK, _("WeChat: answers, and takes the access token."))
    yield Finding(Level.NOTE, _("Quota: unknown. %(error)s") % {"error": error})


def _not_whitelisted(text: str, address: str) -> Finding:
    seen = _("This machine's address, as WeChat sees it: %(ip)s") % {"ip": address}
    return Finding(Level.PROBLEM, sentences(text, seen), _add_to_whitelist(address))


def _add_to_whitelist(address: str) -> str:
    text = _(
        "Add %(ip)s to the account's IP whitelist at "
        "developers.weixin.qq.com/platform, 基础信息 (before: mp.weixin.qq.com), then "
        "run wechat_doctor --clear."
    )
    return text % {"ip": address}


def look_at_tls(backend: BaseBackend) -> Iterator[Finding]:
    """A real handshake, with the certificates that the account trusts."""
    trouble = backend.tls_trouble()
    if trouble:
        yield Finding(
            Level.PROBLEM,
            _("TLS: no secure connection to WeChat: %(trouble)s.") % {"trouble": trouble},
            _(
                "The CA bundle (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, or the option ca_bundle) must "
                "hold DigiCert Global Root G2, and that of a proxy that opens connections."
            ),
        )
    elif trouble is not None:
        yield Finding(Level.OK, _("TLS: the handshake with WeChat succeeds."))


# -- what holds messages up -------------------------------------------------------------------


def look_at_rest(alias: str, *, is_known: bool) -> Finding:
    """Whether the account rests. ``is_known``: whether other processes' findings are seen here."""
    rest = Breaker(alias).rest()
    if rest is None and not is_known:
        text = _("Sending: not known. Other processes' rests are in their own caches.")
        return Finding(Level.NOTE, text)
    if rest is None:
        return Finding(Level.OK, _("Sending: the account does not rest."))
    text = _("Sending: %(rest)s") % {"rest": rest_in_words(rest)}
    if not rest.by_hand:
        return Finding(Level.NOTE, text, str(rest.info.next_step))
    done = _("When that is done: wechat_doctor --clear %(account)s") % {"account": alias}
    return Finding(Level.PROBLEM, text, sentences(str(rest.info.next_step), done))


def rest_in_words(rest: Rest) -> str:
    """Why an account rests and until when, with WeChat's own words."""
    names = {
        "since": local(rest.since),
        "until": local(rest.until),
        "cause": rest.info.cause_in_words(),
    }
    if rest.by_hand:
        text = _("at rest since %(since)s, probed again at %(until)s: %(cause)s") % names
    else:
        text = _("at rest since %(since)s, until %(until)s: %(cause)s") % names
    return sentences(text, _quoted(rest.errmsg))


def look_at_closures(alias: str) -> Iterator[Finding]:
    """From which servers nothing gets through. Others go on meanwhile."""
    for closure in closed_ways(alias):
        passes = closure.errcode is None and timezone.now() - closure.since < PASSING
        level = Level.NOTE if passes else Level.PROBLEM
        yield Finding(level, closure_in_words(closure), closure_next_step(closure))


def closure_in_words(closure: Closure) -> str:
    """From which server nothing gets through since when, with the words of the last answer."""
    names = {"host": closure.host, "since": local(closure.since)}
    if closure.errcode is None:
        text = _("From server %(host)s nothing gets through to WeChat since %(since)s: %(error)s")
        return text % {**names, "error": closure.errmsg}
    cause = _of_a_host(closure.errcode).cause_in_words()
    text = _("WeChat refuses server %(host)s since %(since)s: %(cause)s") % {
        **names,
        "cause": cause,
    }
    return sentences(text, _quoted(closure.errmsg))


def closure_next_step(closure: Closure) -> str:
    """What to do about a closed way, with the address to put on the whitelist."""
    if closure.errcode is None:
        return _("Look at that server's network and proxy. Sending goes on by itself.")
    address = refused_ip(closure.errmsg)
    if address:
        return _add_to_whitelist(address)
    return str(_of_a_host(closure.errcode).next_step)


def _of_a_host(errcode: int) -> ErrorInfo:
    """What a refusal of a host means. The token endpoints know all of these codes."""
    return describe(errcode, endpoint="token")


def _quoted(errmsg: str) -> str:
    return _("WeChat's words: “%(errmsg)s”.") % {"errmsg": errmsg} if errmsg else ""
