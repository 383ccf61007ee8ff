"""The control API under /sandbox/: what a test in another process may ask and change.

==========================  =======================================================================
GET  /sandbox/state         figures: messages, duplicates, calls, token_fetches, connections, …
GET  /sandbox/messages      ``{"messages": [...]}``; ?openid=, ?after= a msgid, ?limit=
GET  /sandbox/counts        ``{"counts": {openid: messages}}``
GET  /sandbox/faults        ``{"faults": [...]}``, each with its ``hits``
POST /sandbox/faults        ``{"kind": "fail", "errcode": 45009, "times": 1, "openid": …}``
POST /sandbox/faults/clear
GET  /sandbox/templates     ``{"template_list": [...]}``
POST /sandbox/templates     ``{"template_id", "title", "content", "choices", "banned", …}``
GET  /sandbox/users         ``{"users": [...]}``
POST /sandbox/users         ``{"openid", "nickname", "subscribed", …}``, or ``{"users": [...]}``
POST /sandbox/token/revoke  ``{"keep_serving": false}``
POST /sandbox/clock         ``{"advance": seconds}``
POST /sandbox/settings      ``{"latency", "daily_quota", "callback_url", "repeat_errcode", …}``
POST /sandbox/clear         forget messages, faults and counters
==========================  =======================================================================

What is refused comes back with status 400 and ``{"error": "…"}``.
"""

from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from .protocol import Request, Response, json_response
from .records import PhoneMessage
from .state import State

PREFIX = "/sandbox/"

Handler = Callable[[State, Request], "dict[str, Any]"]

SETTINGS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "callback_url": str,
    "callback_token": str,
    "callback_mode": str,
    "encoding_aes_key": str,
    "latency": (int, float),
    "repeat_errcode": int,
    "max_url": int,
    "any_openid": bool,
    "consent": bool,
    "authorize_domain": str,
    "phone_user": str,
}


def answer(state: State, request: Request) -> Response:
    """Answer a request to the control API."""
    handler = HANDLERS.get((request.method, request.path))
    if handler is None:
        return _error(HTTPStatus.NOT_FOUND, f"No {request.method} {request.path} here.")
    if from_elsewhere(request):
        return _error(HTTPStatus.FORBIDDEN, "Another site's page asked.")
    try:
        return json_response(handler(state, request))
    except (KeyError, TypeError, ValueError) as error:
        return _error(HTTPStatus.BAD_REQUEST, f"{type(error).__name__}: {error}")


def from_elsewhere(request: Request) -> bool:
    """Whether a page of another site makes a browser ask, which is refused on localhost too."""
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def _error(status: HTTPStatus, text: str) -> Response:
    return json_response({"error": text}, status=status)


def _state(state: State, request: Request) -> dict[str, Any]:
    return state.summary()


def _messages(state: State, request: Request) -> dict[str, Any]:
    query = request.query
    after, limit = int(query.get("after", 0)), query.get("limit")
    found: list[PhoneMessage] = [
        message for message in state.mailbox.messages(query.get("openid")) if message.msgid > after
    ]
    kept = found if limit is None else found[: int(limit)]
    return {"messages": [message.as_dict() for message in kept]}


def _counts(state: State, request: Request) -> dict[str, Any]:
    return {"counts": dict(state.mailbox.counts)}


def _faults(state: State, request: Request) -> dict[str, Any]:
    return {"faults": [fault.as_dict() for fault in state.faults.faults()]}


def _add_fault(state: State, request: Request) -> dict[str, Any]:
    options = dict(request.json())
    return state.faults.add(options.pop("kind"), options).as_dict()


def _clear_faults(state: State, request: Request) -> dict[str, Any]:
    state.faults.clear()
    return {}


def _templates(state: State, request: Request) -> dict[str, Any]:
    return {"template_list": [asdict(template) for template in state.templates()]}


def _add_template(state: State, request: Request) -> dict[str, Any]:
    return asdict(state.add_template(request.json()))


def _users(state: State, request: Request) -> dict[str, Any]:
    return {"users": [asdict(user) for user in state.users()]}


def _change_users(state: State, request: Request) -> dict[str, Any]:
    body = request.json()
    entries = body.get("users", [body])
    return {"users": [asdict(state.change_user(**entry)) for entry in entries]}


def _revoke(state: State, request: Request) -> dict[str, Any]:
    state.tokens.revoke(keep_serving=bool(request.json_object().get("keep_serving")))
    return {}


def _clock(state: State, request: Request) -> dict[str, Any]:
    state.clock.advance(float(request.json()["advance"]))
    return {"time": state.clock.time()}


def _settings(state: State, request: Request) -> dict[str, Any]:
    settings = dict(request.json())
    quota = settings.pop("daily_quota", None)
    for name, value in settings.items():
        if name not in SETTINGS or not isinstance(value, SETTINGS[name]):
            raise ValueError(f"Cannot set {name} to {value!r}.")
    for name, value in settings.items():
        setattr(state.account, name, value)
    if quota is not None:
        state.set_daily_quota(int(quota))
    return {}


def _clear(state: State, request: Request) -> dict[str, Any]:
    state.clear()
    return {}


HANDLERS: dict[tuple[str, str], Handler] = {
    ("GET", "/sandbox/state"): _state,
    ("GET", "/sandbox/messages"): _messages,
    ("GET", "/sandbox/counts"): _counts,
    ("GET", "/sandbox/faults"): _faults,
    ("POST", "/sandbox/faults"): _add_fault,
    ("POST", "/sandbox/faults/clear"): _clear_faults,
    ("GET", "/sandbox/templates"): _templates,
    ("POST", "/sandbox/templates"): _add_template,
    ("GET", "/sandbox/users"): _users,
    ("POST", "/sandbox/users"): _change_users,
    ("POST", "/sandbox/token/revoke"): _revoke,
    ("POST", "/sandbox/clock"): _clock,
    ("POST", "/sandbox/settings"): _settings,
    ("POST", "/sandbox/clear"): _clear,
}
