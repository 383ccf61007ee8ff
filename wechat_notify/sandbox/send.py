"""POST /cgi-bin/message/template/send, with its documented refusals (docs/wechat-api.md, 2)."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from wechat_notify.wechat import fields

from .protocol import Request
from .records import TEMPLATE_MESSAGE, Template, User, text
from .refusals import Refusal
from .state import State

NOT_FOLLOWING = 43004


def send(state: State, request: Request) -> dict[str, Any]:
    """Take one message for one follower: errcode 0 and a msgid."""
    body = posted(request)
    openid, data = body.get("touser"), body.get("data")
    # A body without touser or data (only ``data`` posted, camelCase keys) is answered with 47001.
    if not isinstance(openid, str) or not openid or not isinstance(data, dict):
        raise Refusal(47001)
    user = _recipient(state, openid)
    template = _template(state, body.get("template_id"))
    _check_links(state, body)
    wrong = broken_rule(template, data)
    if wrong:
        raise Refusal(47003, f"argument invalid! {wrong}")
    client_msg_id = body.get("client_msg_id") or ""
    state.count_use(template)
    message, msgid = state.mailbox.accept(
        openid, template.template_id, str(client_msg_id), request.body
    )
    if message is None and state.account.repeat_errcode:
        raise Refusal(state.account.repeat_errcode)
    if message is not None:
        state.callbacks.receipt(openid, msgid, user.receipt)
    if template.reviews:
        return {"errcode": 0, "errmsg": "ok"}
    return {"errcode": 0, "errmsg": "ok", "msgid": msgid}


def posted(request: Request) -> dict[str, Any]:
    """The JSON object of a POST: 44002 where the body is empty, 47001 where it is none."""
    if not request.body:
        raise Refusal(44002)
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(47001)
    return body


def _recipient(state: State, openid: str) -> User:
    user = state.user(openid)
    if user is None:
        raise Refusal(40003)
    if not user.subscribed:
        raise Refusal(NOT_FOLLOWING)
    if user.refuses:
        raise Refusal(user.refuses)
    return user


def _template(state: State, template_id: Any) -> Template:
    if not isinstance(template_id, str) or not template_id:
        raise Refusal(40036)
    template = state.template(template_id)
    if template is None or template.kind != TEMPLATE_MESSAGE:
        raise Refusal(40037)
    if template.banned:
        raise Refusal(43116)
    return template


def _check_links(state: State, body: Mapping[str, Any]) -> None:
    if len(str(body.get("url") or "")) > state.account.max_url:
        raise Refusal(40039)
    program = body.get("miniprogram")
    if not program:
        return
    app_id = program.get("appid") if isinstance(program, dict) else None
    associated = state.account.miniprograms
    if not app_id or (associated is not None and app_id not in associated):
        raise Refusal(40013)


def broken_rule(template: Template, data: Mapping[str, Any]) -> str:
    """The first field that breaks its rule, as WeChat's errmsg names it; empty where all is well.

    Category templates are refused for a missing or wrong value, with no truncation. ``first`` and
    ``remark`` may be left out and are not shown; ``keywordN`` and the plain words of historical
    templates are never refused (docs/wechat-api.md, 2.2, 2.4).
    """
    for item in fields.parse(template.content):
        value = text(data.get(item.name))
        choices = template.choices.get(item.name)
        if _breaks(item, value) or (choices and value and value not in choices):
            return f"data.{item.name}.value {'invalid' if value else 'is empty'}"
    return ""


def _breaks(item: fields.Field, value: str) -> bool:
    try:
        return fields.check(item, value) is not None
    except ImproperlyConfigured:
        # Only a refusal is put into words, and without Django's settings no language is set.
        return True
