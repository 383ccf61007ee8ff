"""Web authorisation (网页授权): the address that asks a person, and the openid behind the code.

Pages: https://developers.weixin.qq.com/doc/service/api/webdev/access/api_snsaccesstoken and
OA_Web_Apps. The access token that comes with the openid is another one than the account's; nothing
here needs it, so it is not kept.
"""

import re
from urllib.parse import quote, urlencode

from ..exceptions import TransportError, WeChatError
from ..types import Authorization, Secret
from .access import needed
from .errors import token_error, wechat_error
from .openids import as_unionid, is_openid
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
# another one, and are mostly a page that was loaded twice (docs/wechat-api.md, 6).
CODE_SPENT = frozenset({40029, 40163, 42003})

# a-zA-Z0-9, at most 128 bytes; a longer one ends on an error page (docs/wechat-api.md, 6).
_STATE = re.compile(r"[A-Za-z0-9]{1,128}")


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
    app_secret = Secret(app_secret)  # First of all: a traceback shows this frame's names.
    params = {
        "appid": app_id,
        "secret": app_secret,
        "code": code,
        "grant_type": "authorization_code",
    }
    answer = transport.request("GET", EXCHANGE_PATH, params)
    if answer.get("errcode"):
        raise _refusal(answer["errcode"], str(answer.get("errmsg", "")))
    openid = needed(answer, "openid", str)
    if not is_openid(openid):
        raise TransportError("WeChat's answer holds no openid.", maybe_sent=False)
    return Authorization(
        openid=openid,
        scope=str(answer.get("scope") or ""),
        unionid=as_unionid(answer.get("unionid")),
        is_snapshot=str(answer.get("is_snapshotuser") or "0") != "0",
    )


def _refusal(errcode: int, errmsg: str) -> WeChatError:
    # The call carries the app secret, as those for a token do: what is not about the code is
    # about the credentials.
    about_code = errcode == CODE_MISSING or errcode in CODE_SPENT
    return wechat_error(errcode, errmsg) if about_code else token_error(errcode, errmsg)
