"""WeChat's errcodes: what each one means, what to do about it, and what the engine makes of it.

One errcode can mean two things: at the token endpoints 40001 is a wrong app secret, at the
business endpoints it is a stale token. So there are two tables, and ``describe`` takes the
endpoint that answered. Never match on errmsg: its wording and suffixes change.

``source`` says how far a row can be trusted, by the marks of docs/wechat-api.md, which names each
code with its meaning (sections 1.2 and 2.2).
"""

import enum
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..exceptions import TokenError, WeChatError
from ..types import Endpoint
from .masking import redact

Words: TypeAlias = str | Promise
"""A text for people: a string, or a lazy translation of one."""


class Treatment(enum.Enum):
    """What one errcode asks of the sender."""

    OK = "ok"
    RETRY = "retry"
    """Transient: the same row again, later, with the same client_msg_id."""
    TOKEN = "token"
    """Stale token. The client repeats once by itself; seen later than that, pause the account."""
    FAIL = "fail"
    """This row only, for good."""
    PERSON = "person"
    """The row fails and the binding is marked unsubscribed: this person cannot be reached."""
    PERSON_REFUSED = "person_refused"
    """The row fails and the binding carries the code: the person still follows, but refuses or
    cannot receive this message. Another one may be accepted, so the next is sent all the same."""
    LATER = "later"
    """Too many messages to this one person: wait minutes to hours, few attempts."""
    DUPLICATE = "duplicate"
    """WeChat saw the same message a moment ago: not sent again, and not to be repeated."""
    TEMPLATE = "template"
    """Pause the template; the row waits."""
    TEMPLATE_GONE = "template_gone"
    """The row fails, and the template is paused so that no further call is wasted on it."""
    ACCOUNT = "account"
    """Pause the account: every other message would get the same answer."""
    HOST = "host"
    """Pause sending from this host only: WeChat refuses its address, not the account's others."""


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a template or an account rests.

    ``seconds``: that long. ``next_day``: until midnight in Beijing, and where that did not help
    until a probe succeeds. Neither: until a person, or a probe that succeeds, ends it.
    """

    seconds: int | None = None
    next_day: bool = False


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """One errcode at one kind of endpoint, in words and as a treatment.

    ``pause`` is set exactly where the treatment is one of TEMPLATE, TEMPLATE_GONE, ACCOUNT, HOST
    and TOKEN.
    """

    errcode: int
    treatment: Treatment
    cause: Words
    next_step: Words
    pause: Pause | None = None
    source: str = ""

    @property
    def known(self) -> bool:
        """Whether the errcode is in the tables here."""
        return bool(self.source)

    @property
    def passes(self) -> bool:
        """Whether the trouble passes by itself, so that the same message may well work later."""
        return self.treatment in (Treatment.RETRY, Treatment.LATER)

    @property
    def to_be_confirmed(self) -> bool:
        """Whether WeChat has said this of people who did follow (docs/wechat-api.md, 9 and 12.6).

        Ask WeChat about the person before the binding is marked.
        """
        return self.errcode in _TO_BE_CONFIRMED

    def in_words(self, next_step: Words | None = None) -> str:
        """Cause, next step and errcode in the active language. ``next_step``: instead of ours."""
        return gettext("%(cause)s %(next_step)s (errcode %(errcode)d)") % {
            "cause": self.cause,
            "next_step": self.next_step if next_step is None else next_step,
            "errcode": self.errcode,
        }

    def cause_in_words(self) -> str:
        """Cause and errcode in the active language."""
        names = {"cause": self.cause, "errcode": self.errcode}
        return gettext("%(cause)s (errcode %(errcode)d)") % names


# 43004 and 50005 may pass too, but say plainly that the person does not follow; an event or the
# next check of followers corrects it.
_TO_BE_CONFIRMED = frozenset({40003, -41000})

Table: TypeAlias = Mapping[int, ErrorInfo]

UNTIL_CLEARED = Pause()
# The reset hour is not documented (docs/wechat-api.md, 10); if midnight in Beijing is wrong, the
# first message after it is answered 45009 again and the account is probed from then on.
UNTIL_TOMORROW = Pause(next_day=True)
MINUTE = 60
HOUR = 60 * MINUTE


def _rows(
    codes: tuple[int, ...],
    treatment: Treatment,
    cause: Words,
    next_step: Words,
    *,
    pause: Pause | None = None,
    source: str,
) -> dict[int, ErrorInfo]:
    return {
        code: ErrorInfo(code, treatment, cause, next_step, pause=pause, source=source)
        for code in codes
    }


_ANYWHERE: Table = {
    **_rows(
        (0,),
        Treatment.OK,
        _("WeChat accepted the message."),
        _("Nothing to do. The receipt will say whether it was delivered."),
        source="official",
    ),
    **_rows(
        (-1, 268487001, 268487002),
        Treatment.RETRY,
        _("WeChat is busy."),
        _("Nothing to do: it is tried again by itself in a moment."),
        source="official†",
    ),
    # The service guide names 61004, the error tables and practice 40164 (docs/wechat-api.md, 1.2).
    # Each host of a site has an address of its own (12.2).
    **_rows(
        (40164, 61004),
        Treatment.HOST,
        _("WeChat does not know the address of this server."),
        _(
            "Add the server's IP address to the account's IP whitelist at "
            "developers.weixin.qq.com/platform, 基础信息 (before: mp.weixin.qq.com)."
        ),
        pause=UNTIL_CLEARED,
        source="official",
    ),
    **_rows(
        (45009,),
        Treatment.ACCOUNT,
        _("Today's quota for this call is used up."),
        _(
            "Sending goes on by itself tomorrow. The quota can be seen at "
            "developers.weixin.qq.com/platform, 接口管理 (before: mp.weixin.qq.com)."
        ),
        pause=UNTIL_TOMORROW,
        source="official",
    ),
    **_rows(
        (45011,),
        Treatment.ACCOUNT,
        _("Too many calls in one minute."),
        _("Nothing to do: sending goes on by itself in a minute."),
        pause=Pause(seconds=MINUTE),
        source="official†",
    ),
    **_rows(
        (50007,),
        Treatment.ACCOUNT,
        _("The official account is frozen."),
        _("Sign in to mp.weixin.qq.com to see why and how to have it released."),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
}

_TOKEN: Table = {
    **_ANYWHERE,
    **_rows(
        (40001, 40125),
        Treatment.ACCOUNT,
        _("The app secret is wrong."),
        _(
            "Copy the AppSecret again from developers.weixin.qq.com/platform, 基础信息 "
            "(before: mp.weixin.qq.com). Resetting it there makes the old one useless."
        ),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    **_rows(
        (40013, 41002),
        Treatment.ACCOUNT,
        _("WeChat does not know this app id."),
        _(
            "Check APP_ID against the AppID shown at developers.weixin.qq.com/platform, "
            "基础信息 (before: mp.weixin.qq.com), and that API_BASE is the right host."
        ),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    **_rows(
        (41004,),
        Treatment.ACCOUNT,
        _("The app secret is missing."),
        _(
            "Set APP_SECRET to the AppSecret from developers.weixin.qq.com/platform, "
            "基础信息 (before: mp.weixin.qq.com)."
        ),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    **_rows(
        (40002, 43002),
        Treatment.ACCOUNT,
        _("WeChat did not understand the request for a token."),
        _("Check API_BASE: a proxy between this server and WeChat may change requests."),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    **_rows(
        (40243,),
        Treatment.ACCOUNT,
        _("The app secret is frozen."),
        _(
            "Unfreeze the AppSecret at developers.weixin.qq.com/platform, 基础信息 "
            "(before: mp.weixin.qq.com). It takes about ten minutes to work again."
        ),
        pause=UNTIL_CLEARED,
        source="official",
    ),
    **_rows(
        (50004,),
        Treatment.ACCOUNT,
        _("This account may not ask for tokens."),
        _(
            "See what the account is allowed to do at developers.weixin.qq.com/platform, "
            "接口管理 (before: mp.weixin.qq.com)."
        ),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    # The administrator is asked about this server's address (docs/wechat-api.md, 1.2).
    **_rows(
        (89503,),
        Treatment.HOST,
        _("WeChat asked the account's administrator to confirm this server."),
        _("The administrator must confirm the request in WeChat."),
        pause=UNTIL_CLEARED,
        source="official",
    ),
    **_rows(
        (89501, 89502, 89504, 89505),
        Treatment.HOST,
        _("WeChat waits for the account's administrator to confirm this server."),
        _("The administrator must confirm the request in WeChat."),
        pause=UNTIL_CLEARED,
        source="community",
    ),
    **_rows(
        (89506,),
        Treatment.HOST,
        _("The account's administrator refused this server twice."),
        _("Ask the administrator. WeChat lets this server ask again after 24 hours."),
        pause=Pause(seconds=24 * HOUR),
        source="official†",
    ),
    **_rows(
        (89507,),
        Treatment.HOST,
        _("The account's administrator refused this server."),
        _("Ask the administrator. WeChat lets this server ask again after one hour."),
        pause=Pause(seconds=HOUR),
        source="official†",
    ),
}

_BUSINESS: Table = {
    **_ANYWHERE,
    # The account.
    **_rows(
        (40001, 40014, 42001),
        Treatment.TOKEN,
        _("WeChat keeps refusing the access token, even a new one."),
        _(
            "See whether another program fetches tokens for the same app id, and whether "
            "API_BASE belongs to this account."
        ),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    **_rows(
        (41001,),
        Treatment.ACCOUNT,
        _("The access token was missing from the request."),
        _("Check API_BASE: a proxy between this server and WeChat may change requests."),
        pause=UNTIL_CLEARED,
        source="sdk",
    ),
    **_rows(
        (43001, 43002, 43003, 44002),
        Treatment.ACCOUNT,
        _("WeChat does not accept the way the call is made."),
        _("Check API_BASE: it should start with https, and no proxy may change requests."),
        pause=UNTIL_CLEARED,
        source="sdk",
    ),
    **_rows(
        (45109,),
        Treatment.ACCOUNT,
        _("WeChat does not accept the way the call is made."),
        _("Check API_BASE: it should start with https, and no proxy may change requests."),
        pause=UNTIL_CLEARED,
        source="community",
    ),
    **_rows(
        (50001,),
        Treatment.ACCOUNT,
        _("The account has not been given this call."),
        _(
            "See the account's permissions at developers.weixin.qq.com/platform, 接口管理 "
            "(before: mp.weixin.qq.com)."
        ),
        pause=UNTIL_CLEARED,
        source="sdk",
    ),
    **_rows(
        (48001,),
        Treatment.ACCOUNT,
        _("This account may not send template messages."),
        _(
            "Only verified service accounts may. See the account's permissions at "
            "developers.weixin.qq.com/platform, 接口管理 (before: mp.weixin.qq.com)."
        ),
        pause=UNTIL_CLEARED,
        source="official",
    ),
    **_rows(
        (48004,),
        Treatment.ACCOUNT,
        _("WeChat has banned this account from this call."),
        _("Sign in to mp.weixin.qq.com to see why and for how long."),
        pause=UNTIL_CLEARED,
        source="sdk",
    ),
    # The template.
    **_rows(
        (43116,),
        Treatment.TEMPLATE,
        _("WeChat has banned this template."),
        _("See the notice at mp.weixin.qq.com, or use another template."),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    # Mostly a deleted template, but a good id was once refused for eleven minutes
    # (docs/wechat-api.md, 2.2): what is paused waits, and somebody who finds the template in order
    # lets it go on.
    **_rows(
        (40037,),
        Treatment.TEMPLATE_GONE,
        _("This account has no template with this id."),
        _(
            "Sync the templates: it may have been deleted, or the account's category changed. "
            "If it is still there, resume it."
        ),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    **_rows(
        (40036,),
        Treatment.TEMPLATE_GONE,
        _("The template id has the wrong length."),
        _("Sync the templates, or copy the template id again from mp.weixin.qq.com."),
        pause=UNTIL_CLEARED,
        source="official†",
    ),
    # The person.
    **_rows(
        (40003,),
        Treatment.PERSON,
        _("This openid is not a follower of this account."),
        _("The person must follow the account. An openid of another account does not work here."),
        source="official†",
    ),
    **_rows(
        (-41000,),
        Treatment.PERSON,
        _("This openid is not a follower of this account."),
        _("The person must follow the account. An openid of another account does not work here."),
        source="community",
    ),
    **_rows(
        (43004, 50005),
        Treatment.PERSON,
        _("The person does not follow the account."),
        _("Ask the person to follow the account again."),
        source="official†",
    ),
    **_rows(
        (46004,),
        Treatment.PERSON,
        _("WeChat does not know this person."),
        _("Ask the person to follow the account and to bind WeChat again."),
        source="sdk",
    ),
    **_rows(
        (43101,),
        Treatment.PERSON_REFUSED,
        _("The person refuses this message."),
        _("Only the person can allow it again, in the settings of the account in WeChat."),
        source="community",
    ),
    **_rows(
        (48002,),
        Treatment.PERSON_REFUSED,
        _("The person has switched off messages from this account."),
        _("Only the person can switch them on again, in the settings of the account in WeChat."),
        source="sdk",
    ),
    **_rows(
        (43019,),
        Treatment.PERSON_REFUSED,
        _("The person is on the account's blacklist."),
        _("Take the person off the blacklist at mp.weixin.qq.com."),
        source="sdk",
    ),
    **_rows(
        (50002,),
        Treatment.PERSON_REFUSED,
        _("The person's WeChat account is frozen or closed."),
        _("Reach the person in another way."),
        source="official†",
    ),
    **_rows(
        (43117,),
        Treatment.LATER,
        _("This person got too many messages in a short time."),
        _("Nothing to do: it is tried again later. Send this person fewer messages."),
        source="community",
    ),
    **_rows(
        (40241,),
        Treatment.DUPLICATE,
        _("WeChat had the same message for this person a moment ago."),
        _("Nothing to do, unless the person says that nothing arrived: then resend it."),
        source="community",
    ),
    # The message.
    **_rows(
        (47003,),
        Treatment.FAIL,
        _("A value does not fit its field in the template."),
        _("Correct the value that WeChat names below, then resend."),
        source="official†",
    ),
    **_rows(
        (40249,),
        Treatment.FAIL,
        _("WeChat blocked the message: it looks like advertising or is not allowed."),
        _("Change the words before sending more: repeated blocks put the account at risk."),
        source="official†",
    ),
    **_rows(
        (40039,),
        Treatment.FAIL,
        _("The link is too long."),
        _("Use a shorter link."),
        source="official†",
    ),
    **_rows(
        (40013,),
        Treatment.FAIL,
        _("The mini program is not bound to this account, or the app id is wrong."),
        _("Bind the mini program at mp.weixin.qq.com, or correct its app id."),
        source="official†",
    ),
    **_rows(
        (40165,),
        Treatment.FAIL,
        _("The mini program has no such page."),
        _("Correct the page path of the mini program."),
        source="sdk",
    ),
    **_rows(
        (49003,),
        Treatment.PERSON,
        _("This openid belongs to another account."),
        _("Bind the person again on this account."),
        source="official†",
    ),
    **_rows(
        (40008,),
        Treatment.FAIL,
        _("WeChat did not understand the message."),
        _("Please report this to whoever looks after the site, with the errcode."),
        source="official†",
    ),
    **_rows(
        (40033, 40035, 40038),
        Treatment.FAIL,
        _("WeChat did not understand the message."),
        _("Please report this to whoever looks after the site, with the errcode."),
        source="sdk",
    ),
    **_rows(
        (47001,),
        Treatment.FAIL,
        _("WeChat did not understand the message."),
        _("Please report this to whoever looks after the site, with the errcode."),
        source="community",
    ),
    # Templates, QR codes, quota and request look-up.
    **_rows(
        (40246,),
        Treatment.FAIL,
        _("The keywords of the template are missing, or the library does not have them."),
        _("Choose the keywords from the template library, in its order."),
        source="official†",
    ),
    **_rows(
        (40247,),
        Treatment.FAIL,
        _("Templates of the old library cannot be added any more."),
        _("Choose a template from the category library at mp.weixin.qq.com."),
        source="official†",
    ),
    **_rows(
        (45026,),
        Treatment.FAIL,
        _("The account has as many templates as WeChat allows."),
        _("Delete a template that is not used, then add this one."),
        source="sdk",
    ),
    **_rows(
        (40052, 40053),
        Treatment.FAIL,
        _("WeChat refused the description of the QR code."),
        _("Please report this to whoever looks after the site, with the errcode."),
        source="official†",
    ),
    **_rows(
        (76003, 76021, 76022),
        Treatment.FAIL,
        _("WeChat cannot look this up for this account."),
        _(
            "Check that the call belongs to this account. "
            "A request can be looked up for seven days."
        ),
        source="official†",
    ),
    **_rows(
        (48006,),
        Treatment.FAIL,
        _("The quota has been cleared as often as WeChat allows this month."),
        _("Wait for the daily reset."),
        source="official",
    ),
    # Web authorisation.
    **_rows(
        (40029, 40163, 41008, 42003),
        Treatment.FAIL,
        _("The WeChat sign-in code is missing, used or too old."),
        _("Start again. Opening the same page twice is the usual reason."),
        source="sdk",
    ),
    **_rows(
        (40030, 42002, 42007),
        Treatment.ACCOUNT,  # No message is to blame, should a message ever be answered so.
        _("The WeChat sign-in has ended."),
        _("Sign in with WeChat again."),
        pause=UNTIL_CLEARED,
        source="community",
    ),
}

TABLES: Mapping[Endpoint, Table] = {"token": _TOKEN, "send": _BUSINESS}
"""Every errcode that is known, by the kind of endpoint that answers it."""

_UNKNOWN_CAUSE = _("WeChat refused, with a code that is not in its documentation.")
_UNKNOWN_STEP = _(
    "See WeChat's own words below. If they do not help, ask WeChat with the request id."
)


def describe(errcode: int, *, endpoint: Endpoint = "send") -> ErrorInfo:
    """What ``errcode`` means at this kind of endpoint. Never raises.

    ``endpoint`` is "token" for the token endpoints and "send" for every business endpoint.
    What the token endpoint says of the account or host holds for every endpoint. An unknown code
    fails its own row, so that nothing loops on it; at the token endpoint, where it says nothing
    about any one row, it rests the account for ten minutes instead.
    """
    known = TABLES[endpoint].get(errcode)
    if known is not None:
        return known
    if endpoint == "token":
        rest = Pause(seconds=10 * MINUTE)
        return ErrorInfo(errcode, Treatment.ACCOUNT, _UNKNOWN_CAUSE, _UNKNOWN_STEP, pause=rest)
    unknown = ErrorInfo(errcode, Treatment.FAIL, _UNKNOWN_CAUSE, _UNKNOWN_STEP)
    return TABLES["token"].get(errcode, unknown)


def wechat_error(
    errcode: int, errmsg: str = "", *, answer: Mapping[str, Any] | None = None
) -> WeChatError:
    """The exception for a business endpoint's refusal, with its cause and next step in words."""
    info = describe(errcode)
    return WeChatError(
        errcode,
        redact(errmsg),
        rid=request_id(errmsg),
        cause=str(info.cause),
        next_step=str(info.next_step),
        answer=answer,
    )


def token_error(errcode: int, errmsg: str = "") -> TokenError:
    """The exception for a token endpoint's refusal, with its cause and next step in words."""
    info = describe(errcode, endpoint="token")
    return TokenError(
        errcode,
        redact(errmsg),
        ip=refused_ip(errmsg),
        rid=request_id(errmsg),
        cause=str(info.cause),
        next_step=str(info.next_step),
    )


_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:])[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?![0-9A-Za-z:])")
_RID = re.compile(r"\brid:\s*([0-9A-Za-z-]{1,64})")


def refused_ip(errmsg: str) -> str:
    """The address that a 40164 text names as not whitelisted, or "" if it names none."""
    for pattern in (_IPV4, _IPV6):
        for found in pattern.findall(errmsg):
            if _is_ip(found):
                return str(found)
    return ""


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def request_id(errmsg: str) -> str:
    """WeChat's request id (rid) in an errmsg, or "" if there is none.

    It can be looked up for seven days with ``WeChatClient.get_request``.
    """
    found = _RID.search(errmsg)
    return found.group(1) if found else ""
