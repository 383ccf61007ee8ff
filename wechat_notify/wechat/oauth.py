"""Web authorisation (网页授权): the address that asks a person, and the openid behind the code.

Pages: https://developers.weixin.qq.com/doc/service/api/webdev/access/api_snsaccesstoken and
OA_Web_Apps. The access token that comes with the openid is another one than the account's; nothing
here needs it, so it is not kept.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from ..exceptions import WeChatError
from .access import needed
from .errors import token_error, wechat_error
from .transport import Transport

AUTHORIZE_PATH = "/connect/oauth2/authorize"
EXCHANGE_PATH = "/sns/oauth2/access_token"

BASE = "snsapi_base"
"""Silent: the openid, and nothing else."""
USERINFO = "snsapi_userinfo"
"""WeChat may ask the person; the unionid comes only with this one."""
SCOPES = (BASE, USERINFO)

CODE_MISSING = 41008
# A code is good for one exchange in five minutes. Never try the same one again: these ask for
# another one, and are mostly a page that was loaded twice (WECHAT.md 6).
CODE_SPENT = frozenset({40029, 40163, 42003})

# a-zA-Z0-9, at most 128 bytes; a longer one ends on an error page (WECHAT.md 6).
_STATE = re.compile(r"[A-Za-z0-9]{1,128}")


@dataclass(frozen=True, slots=True)
class Authorization:
    """Who came back with a code.

    ``is_snapshot``: the person saw only a snapshot of the page, and the openid is a made-up one
    that must not be believed. The person need not follow the account.
    """

    openid: str
    scope: str = ""
    unionid: str = ""
    is_snapshot: bool = False


def authorize_url(
    authorize_base: str, *, app_id: str, redirect_uri: str, state: str, scope: str = BASE
) -> str:
    """Where to send a person, so that WeChat sends them to ``redirect_uri`` with a code.

    WeChat insists on the order and the letter case of the parameters, and on the fragment. The
    host of ``redirect_uri`` must be the account's 网页授权域名, else WeChat shows error 10003.
    Raises ``ValueError`` for a state or scope that WeChat would not take.
    """
    if not _STATE.fullmatch(state):
        raise ValueError("A state has 1 to 128 characters a-z, A-Z and 0-9.")
    if scope not in SCOPES:
        raise ValueError(f"The scope is one of {', '.join(SCOPES)}, not {scope!r}.")
    query = urlencode(
        [
            ("appid", app_id),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("scope", scope),
            ("state", state),
        ],
        quote_via=quote,
        safe="",
    )
    return f"{authorize_base}{AUTHORIZE_PATH}?{query}#wechat_redirect"


def exchange_code(
    transport: Transport, *, app_id: str, app_secret: str, code: str
) -> Authorization:
    """The person behind ``code``. The code is used up, whatever comes of it.

    Raises ``WeChatError`` with an errcode of ``CODE_SPENT`` or ``CODE_MISSING``, ``TokenError``
    for wrong credentials and the like, and ``TransportError`` where no answer came.
    """
    request = transport.prepare(
        "GET",
        EXCHANGE_PATH,
        params={
            "appid": app_id,
            "secret": app_secret,
            "code": code,
            "grant_type": "authorization_code",
        },
    )
    answer = transport.send(request)
    if answer.get("errcode"):
        raise _refusal(answer["errcode"], str(answer.get("errmsg", "")))
    return Authorization(
        openid=needed(answer, "openid", str),
        scope=str(answer.get("scope") or ""),
        unionid=str(answer.get("unionid") or ""),
        is_snapshot=str(answer.get("is_snapshotuser") or "0") != "0",
    )


def _refusal(errcode: int, errmsg: str) -> WeChatError:
    # This door takes the app secret, as the token endpoints do: what is not about the code is
    # about the credentials.
    about_code = errcode == CODE_MISSING or errcode in CODE_SPENT
    return wechat_error(errcode, errmsg) if about_code else token_error(errcode, errmsg)
