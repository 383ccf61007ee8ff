"""The API half of web authorisation (docs/wechat-api.md, 6)."""

from typing import Any

from .protocol import Request
from .records import User
from .refusals import Refusal
from .state import State

TOKEN_SECONDS = 7200


def exchange_code(state: State, request: Request) -> dict[str, Any]:
    """GET /sns/oauth2/access_token: the openid behind a code, once."""
    query = request.query
    if query.get("appid") != state.account.app_id:
        raise Refusal(40013)
    if query.get("secret") != state.account.app_secret:
        raise Refusal(40125)
    if query.get("grant_type") != "authorization_code":
        raise Refusal(40002)
    if not query.get("code"):
        raise Refusal(41008)
    login = state.logins.redeem(query["code"])
    if isinstance(login, int):
        raise Refusal(login)
    user = state.user(login.openid) or User(login.openid, subscribed=False)
    # The openid of a snapshot page is a virtual user's, and must not be believed.
    openid = f"oSnapshot{user.openid[-20:]}" if user.snapshot else user.openid
    answer: dict[str, Any] = {
        "access_token": state.logins.open_session(login),
        "expires_in": TOKEN_SECONDS,
        "refresh_token": state.logins.open_session(login),
        "openid": openid,
        "scope": login.scope,
    }
    # unionid comes only with snsapi_userinfo, and only if the account is bound to an open platform.
    if user.unionid and login.scope == "snsapi_userinfo":
        answer["unionid"] = user.unionid
    if user.snapshot:
        answer["is_snapshotuser"] = 1
    return answer


def profile(state: State, request: Request) -> dict[str, Any]:
    """GET /sns/userinfo: nickname and portrait, with the web access token of that person."""
    login = state.logins.session(request.query.get("access_token", ""))
    if login is None:
        raise Refusal(40001)
    user = state.user(login.openid) or User(login.openid, subscribed=False)
    if user.snapshot or login.scope != "snsapi_userinfo":
        raise Refusal(48001)
    if request.query.get("openid") != user.openid:
        raise Refusal(40003)
    answer: dict[str, Any] = {
        "openid": user.openid,
        "nickname": user.name,
        "sex": 0,
        "province": "",
        "city": "",
        "country": "",
        "headimgurl": "",
        "privilege": [],
    }
    if user.unionid:
        answer["unionid"] = user.unionid
    return answer
