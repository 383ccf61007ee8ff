"""Followers and the QR codes that bring them (docs/wechat-api.md, 7)."""

import secrets
from typing import Any

from .protocol import Request
from .records import QRCode
from .refusals import Refusal
from .send import posted
from .state import State

BATCH = 100

LONGEST_CODE = 2_592_000
# What a temporary code lives that does not say how long, as older documents have it.
SHORTEST_CODE = 30
LONGEST_SCENE = 64
MOST_SCENE_ID = 100_000

TEMPORARY = {"QR_STR_SCENE", "QR_SCENE"}
PERMANENT = {"QR_LIMIT_STR_SCENE", "QR_LIMIT_SCENE"}


def user_info(state: State, request: Request) -> dict[str, Any]:
    """GET user/info of one openid."""
    user = state.user(request.query.get("openid", ""))
    if user is None:
        raise Refusal(40003)
    return user.as_info()


def batch_user_info(state: State, request: Request) -> dict[str, Any]:
    """POST user/info/batchget of at most 100 openids."""
    wanted = posted(request).get("user_list")
    if not isinstance(wanted, list) or not 0 < len(wanted) <= BATCH:
        raise Refusal(40035)
    openids = [str(entry.get("openid", "")) for entry in wanted if isinstance(entry, dict)]
    found = [state.user(openid) for openid in openids]
    if None in found:
        raise Refusal(40003)
    return {"user_info_list": [user.as_info() for user in found if user is not None]}


def followers(state: State, request: Request) -> dict[str, Any]:
    """GET user/get: followers' openids, ``page_size`` a page; an empty next_openid is the end."""
    everybody = sorted(user.openid for user in state.users() if user.subscribed)
    start = request.query.get("next_openid", "")
    # next_openid is the last one of the page before.
    rest = [openid for openid in everybody if openid > start]
    size = state.account.page_size
    page = rest[:size]
    answer: dict[str, Any] = {"total": len(everybody), "count": len(page)}
    if page:
        answer["data"] = {"openid": page}
    answer["next_openid"] = page[-1] if len(rest) > size else ""
    return answer


def create_code(state: State, request: Request) -> dict[str, Any]:
    """POST qrcode/create: a ticket, and the url that the code holds."""
    body = posted(request)
    action = body.get("action_name")
    if action not in TEMPORARY | PERMANENT:
        raise Refusal(40052)
    scene = _scene(body, named="STR" in action, permanent=action in PERMANENT)
    ticket = secrets.token_urlsafe(60)
    answer: dict[str, Any] = {"ticket": ticket}
    now, expires_at = state.clock.time(), None
    if action in TEMPORARY:
        seconds = _lifetime(body.get("expire_seconds", SHORTEST_CODE))
        expires_at = now + seconds
        answer["expire_seconds"] = seconds
    # WeChat's url means something to WeChat only; this one can be opened, and scans the code.
    answer["url"] = f"{request.base}/scan/?ticket={ticket}"
    state.add_code(QRCode(ticket, scene, now, expires_at))
    return answer


def _lifetime(seconds: Any) -> int:
    if not isinstance(seconds, int) or seconds < 1:
        raise Refusal(40035)
    return min(seconds, LONGEST_CODE)


def _scene(body: dict[str, Any], *, named: bool, permanent: bool) -> str:
    info = body.get("action_info")
    scene = info.get("scene") if isinstance(info, dict) else None
    value = scene.get("scene_str" if named else "scene_id") if isinstance(scene, dict) else None
    if named and isinstance(value, str) and 0 < len(value) <= LONGEST_SCENE:
        return value
    most = MOST_SCENE_ID if permanent else 2**32 - 1
    if not named and isinstance(value, int) and 0 < value <= most:
        return str(value)
    raise Refusal(40053)
