"""The pages by path: the phone, and what open.weixin.qq.com and mp.weixin.qq.com show people."""

from collections.abc import Callable
from http import HTTPStatus

from . import authorize, phone
from .control import from_elsewhere
from .protocol import Request, Response, redirect
from .rendering import asset
from .state import State

Page = Callable[[State, Request], Response]
PersonPage = Callable[[State, Request, str], Response]

PAGES: dict[tuple[str, str], Page] = {
    ("GET", "/"): phone.people_page,
    ("GET", "/people/"): phone.people_list,
    ("GET", "/scan/"): phone.choose_page,
    ("GET", "/connect/oauth2/authorize"): authorize.authorize,
    ("GET", "/cgi-bin/showqrcode"): phone.choose_page,
}

# Below /phone/<openid>/
PERSON_PAGES: dict[tuple[str, str], PersonPage] = {
    ("GET", ""): phone.chat_page,
    ("GET", "messages/"): phone.chat_messages,
    ("GET", "scan/"): phone.scan_page,
    ("POST", "scan/"): phone.scan,
    ("POST", "follow/"): phone.follow,
    ("POST", "unfollow/"): phone.unfollow,
}


def answer(state: State, request: Request) -> Response:
    """Answer a request for a page; 404 in plain words where there is none."""
    if request.method == "POST" and from_elsewhere(request):
        return phone.problem("请求来自其他网站", "已拒绝。", status=HTTPStatus.FORBIDDEN)
    return _find(state, request) or phone.problem(
        "页面不存在", "请回到首页，选一个人。", status=HTTPStatus.NOT_FOUND
    )


def _find(state: State, request: Request) -> Response | None:
    page = PAGES.get((request.method, request.path))
    if page is not None:
        return page(state, request)
    first, _, rest = request.path.lstrip("/").partition("/")
    if first == "assets":
        return asset(rest)
    openid, slash, rest = rest.partition("/")
    if first != "phone" or not openid:
        return None
    if not slash:
        return redirect(phone.phone_path(openid))
    person_page = PERSON_PAGES.get((request.method, rest))
    return person_page(state, request, openid) if person_page else None
