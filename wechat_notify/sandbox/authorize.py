"""The authorise page of open.weixin.qq.com (docs/wechat-api.md, 6)."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from . import phone
from .protocol import Request, Response, redirect
from .records import User
from .rendering import page
from .state import State

# Order and letter case matter; a request that swaps two of them does not work.
ORDER = ["appid", "redirect_uri", "response_type", "scope", "state"]
OPTIONAL = ["forcePopup"]
SCOPES = ("snsapi_base", "snsapi_userinfo")
LONGEST_STATE = 128


def authorize(state: State, request: Request) -> Response:
    """Send the person who holds the phone back to the site with a code.

    snsapi_base does so at once; snsapi_userinfo asks. In a browser that holds nobody's phone
    the page asks first who it is.
    """
    wrong = _wrong(state, request)
    if wrong:
        return phone.problem(*wrong)
    user = _holder(state, request)
    if user is None:
        everybody = [
            {"person": line, "link": _back(state, request, line.openid)}
            for line in phone.contacts(state)[: phone.PEOPLE_SHOWN]
        ]
        return page("who.html", {"account": state.account.name, "people": everybody})
    allow = _back(state, request, user.openid)
    if request.query["scope"] == "snsapi_base" or not state.account.consent:
        return redirect(allow)
    person = phone.contact(state, user)
    context = {"account": state.account.name, "person": person, "allow": allow}
    return page("consent.html", {**context, "refuse": _back(state, request, "")})


def _wrong(state: State, request: Request) -> tuple[str, str] | None:
    query = request.query
    given = [name for name, _ in parse_qsl(request.target.partition("?")[2], True)]
    if [name for name in given if name not in OPTIONAL] not in (ORDER, ORDER[:-1]):
        return "链接参数错误", f"参数必须依次为 {', '.join(ORDER)}。"
    if query["appid"] != state.account.app_id:
        return "AppID 参数错误", "这个公众号不存在。"
    if query["response_type"] != "code" or query["scope"] not in SCOPES:
        return "Scope 参数错误或没有 Scope 权限", f"scope 只能是 {' 或 '.join(SCOPES)}。"
    if not _is_state(query.get("state", "")):
        return "state 参数错误", f"state 只能是字母和数字，最多 {LONGEST_STATE} 字节。"
    parts = urlsplit(query["redirect_uri"])
    right_domain = state.account.authorize_domain in ("", parts.netloc)
    if parts.scheme not in ("http", "https") or not right_domain:
        return "redirect_uri 域名与后台配置不一致", "错误码：10003"
    return None


def _is_state(value: str) -> bool:
    return not value or (value.isascii() and value.isalnum() and len(value) <= LONGEST_STATE)


def _holder(state: State, request: Request) -> User | None:
    openid = request.cookie(phone.COOKIE) or state.account.phone_user
    # Web authorisation does not require that the person follows (docs/wechat-api.md, 6).
    return (state.user(openid) or User(openid, subscribed=False)) if openid else None


def _back(state: State, request: Request, openid: str) -> str:
    """The site's address with a code for this person, or without one if they declined."""
    parts = urlsplit(request.query["redirect_uri"])
    more = {"state": request.query.get("state", "")}
    if openid:
        more = {"code": state.logins.issue(openid, request.query["scope"]), **more}
    query = "&".join(filter(None, (parts.query, urlencode(more))))
    return urlunsplit(parts._replace(query=query))
