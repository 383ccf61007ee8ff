"""Tokens, quota and request ids: the account's own affairs (docs/wechat-api.md, 1)."""

from typing import Any

from .protocol import Request
from .refusals import Refusal
from .send import posted
from .state import State

SECRET_LENGTH = 32


def classic_token(state: State, request: Request) -> dict[str, Any]:
    """GET /cgi-bin/token: a new token at every call, and the one before it on its way out."""
    _check_grant(request.query.get("grant_type"))
    app_id, secret = request.query.get("appid", ""), request.query.get("secret", "")
    # Both codes stand for a wrong secret at this endpoint: 40125 for one that cannot be any.
    wrong = 40001 if len(secret) == SECRET_LENGTH else 40125
    _check_credentials(state, app_id, secret, wrong)
    _spend(state, request)
    return _issued(*state.tokens.classic())


def stable_token(state: State, request: Request) -> dict[str, Any]:
    """POST /cgi-bin/stable_token: the same token as long as it lives."""
    body = posted(request)
    _check_grant(body.get("grant_type"))
    _check_credentials(state, str(body.get("appid", "")), str(body.get("secret", "")), 40125)
    _spend(state, request)
    return _issued(*state.tokens.stable(force=body.get("force_refresh") is True))


def _check_grant(grant_type: Any) -> None:
    if grant_type != "client_credential":
        raise Refusal(40002)


def _check_credentials(state: State, app_id: str, secret: str, wrong: int) -> None:
    if not app_id:
        raise Refusal(41002)
    if not secret:
        raise Refusal(41004)
    if app_id != state.account.app_id:
        raise Refusal(40013)
    if secret != state.account.app_secret:
        raise Refusal(wrong)


def _spend(state: State, request: Request) -> None:
    if not state.traffic.spend(request.path):
        raise Refusal(45009)


def _issued(token: str, seconds: int) -> dict[str, Any]:
    return {"access_token": token, "expires_in": seconds}


def api_addresses(state: State, request: Request) -> dict[str, Any]:
    """GET /cgi-bin/get_api_domain_ip: the addresses of the API's hosts."""
    return {"ip_list": ["127.0.0.1"]}


def quota(state: State, request: Request) -> dict[str, Any]:
    """POST /cgi-bin/openapi/quota/get: what is left of an API's calls today."""
    path = posted(request).get("cgi_path")
    limit = state.traffic.limits.get(path) if isinstance(path, str) else None
    if limit is None or not isinstance(path, str):
        raise Refusal(76021)
    used = state.traffic.used(path)
    figures = {"daily_limit": limit, "used": used, "remain": max(limit - used, 0)}
    return {"errcode": 0, "errmsg": "ok", "quota": figures}


def request_by_id(state: State, request: Request) -> dict[str, Any]:
    """POST /cgi-bin/openapi/rid/get: what a refused call was, without its credentials."""
    rid = posted(request).get("rid")
    details = state.traffic.failure(rid) if isinstance(rid, str) else None
    if details is None:
        raise Refusal(76003)
    return {"errcode": 0, "errmsg": "ok", "request": details}
