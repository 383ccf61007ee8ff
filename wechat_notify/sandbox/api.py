"""The API by path: who answers, by which method, with or without a token."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import account_api, oauth_api, template_api, user_api
from .faults import SEND_PATH
from .protocol import WECHAT_JSON, Request, Response, json_response
from .refusals import Refusal
from .send import send
from .state import State

Endpoint = Callable[[State, Request], "dict[str, Any]"]

CREDENTIALS = re.compile(r"(?<=[?&])(access_token|secret|code)=[^&]*")


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. Where ``token``, access_token is looked at before anything else."""

    method: str
    endpoint: Endpoint
    token: bool = True


ROUTES = {
    SEND_PATH: Route("POST", send),
    "/cgi-bin/token": Route("GET", account_api.classic_token, token=False),
    "/cgi-bin/stable_token": Route("POST", account_api.stable_token, token=False),
    "/cgi-bin/get_api_domain_ip": Route("GET", account_api.api_addresses),
    "/cgi-bin/openapi/quota/get": Route("POST", account_api.quota),
    "/cgi-bin/openapi/rid/get": Route("POST", account_api.request_by_id),
    "/cgi-bin/template/get_all_private_template": Route("GET", template_api.list_templates),
    "/wxaapi/newtmpl/gettemplate": Route("GET", template_api.list_subscription_templates),
    "/wxa/sec/queryblocktmplmsg": Route("POST", template_api.blocked_messages),
    "/cgi-bin/template/api_add_template": Route("POST", template_api.add_template),
    "/cgi-bin/template/del_private_template": Route("POST", template_api.delete_template),
    "/cgi-bin/user/info": Route("GET", user_api.user_info),
    "/cgi-bin/user/info/batchget": Route("POST", user_api.batch_user_info),
    "/cgi-bin/user/get": Route("GET", user_api.followers),
    "/cgi-bin/qrcode/create": Route("POST", user_api.create_code),
    "/sns/oauth2/access_token": Route("GET", oauth_api.exchange_code, token=False),
    "/sns/userinfo": Route("GET", oauth_api.profile, token=False),
}


def answer(state: State, request: Request) -> Response:
    """What WeChat says to this request. Business errors are HTTP 200 (docs/wechat-api.md, 0)."""
    route = ROUTES[request.path]
    try:
        if request.method != route.method:
            raise Refusal(43002 if route.method == "POST" else 43001)
        if route.token:
            _check_token(state, request)
        return json_response(route.endpoint(state, request), content_type=WECHAT_JSON)
    except Refusal as refusal:
        return refuse(state, request, refusal)


def refuse(state: State, request: Request, refusal: Refusal) -> Response:
    """A refusal on the wire, its request id in the errmsg."""
    details: dict[str, Any] = {
        "invoke_time": int(state.clock.time()),
        "cost_in_ms": 1,
        "request_url": CREDENTIALS.sub(r"\1=***", request.target),
        "request_body": _without_secret(request),
        "response_body": "",
        "client_ip": request.client_ip,
    }
    rid = state.traffic.record_failure(details)
    errmsg = f"{refusal.errmsg} rid: {rid}"
    response = json_response(
        {"errcode": refusal.errcode, "errmsg": errmsg}, content_type=WECHAT_JSON
    )
    details["response_body"] = response.body.decode()
    return response


def concerns(request: Request) -> str:
    """The openid that a request is about; "" where it names none."""
    openid = request.json_object().get("touser") if request.body else request.query.get("openid")
    return openid if isinstance(openid, str) else ""


def _check_token(state: State, request: Request) -> None:
    token = request.query.get("access_token")
    if not token:
        raise Refusal(41001)
    errcode = state.tokens.refusal(token)
    if errcode:
        raise Refusal(errcode)
    if not state.traffic.spend(request.path):
        raise Refusal(45009)


def _without_secret(request: Request) -> str:
    if "secret" not in request.json_object():
        return request.body.decode(errors="replace")
    return json.dumps({**request.json_object(), "secret": "***"}, ensure_ascii=False)
