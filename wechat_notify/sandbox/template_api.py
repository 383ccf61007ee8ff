"""Template management (docs/wechat-api.md, 3)."""

import secrets
import string
from typing import Any

from .protocol import Request
from .records import SUBSCRIPTION, SUCCESS, TEMPLATE_MESSAGE, Template
from .refusals import Refusal
from .send import posted
from .state import State

ALPHABET = string.ascii_letters + string.digits + "-_"
ID_LENGTH = 43
MOST_TEMPLATES = 25


def list_templates(state: State, request: Request) -> dict[str, Any]:
    """GET get_all_private_template: every template at once, and no errcode."""
    mine = [one for one in state.templates() if one.kind == TEMPLATE_MESSAGE]
    return {"template_list": [template.as_listed() for template in mine]}


def list_subscription_templates(state: State, request: Request) -> dict[str, Any]:
    """GET newtmpl/gettemplate: the templates of subscription notices (docs/wechat-api.md, 8)."""
    keys = {"priTmplId": "template_id", "title": "title", "content": "content"}
    found = [one for one in state.templates() if one.kind == SUBSCRIPTION]
    data = [{key: getattr(one, name) for key, name in keys.items()} for one in found]
    return {"errcode": 0, "errmsg": "ok", "data": data}


def blocked_messages(state: State, request: Request) -> dict[str, Any]:
    """POST queryblocktmplmsg: messages of a template that the review has blocked.

    Those to people whose receipts do not say success, of templates whose messages are reviewed.
    """
    body = posted(request)
    template = state.template(str(body.get("tmpl_msg_id", "")))
    if template is None:
        raise Refusal(40037)
    blocked = [
        {"id": message.msgid, "tmpl_msg_id": template.template_id, "openid": message.openid}
        for message in state.mailbox.messages(None)
        if template.reviews
        and message.template_id == template.template_id
        and (user := state.user(message.openid)) is not None
        and user.receipt != SUCCESS
    ]
    limit = int(body.get("limit") or 0)
    return {"errcode": 0, "errmsg": "ok", "msginfo": blocked[-limit:] if limit else []}


def add_template(state: State, request: Request) -> dict[str, Any]:
    """POST api_add_template: a category template (numeric id) with these keywords, in order.

    The library itself is not played: every keyword becomes a field of type thing.
    """
    body = posted(request)
    short = str(body.get("template_id_short", ""))
    keywords = body.get("keyword_name_list")
    if not short.isdigit():
        raise Refusal(40247)
    if not isinstance(keywords, list) or not keywords:
        raise Refusal(40246)
    if len(state.templates()) >= MOST_TEMPLATES:
        raise Refusal(45026)
    lines = (f"{word}：{{{{thing{n}.DATA}}}}" for n, word in enumerate(keywords, start=1))
    template_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    state.add_template(Template(template_id, f"类目模板 {short}", "\n".join(lines)))
    return {"errcode": 0, "errmsg": "ok", "template_id": template_id}


def delete_template(state: State, request: Request) -> dict[str, Any]:
    """POST del_private_template."""
    if not state.remove_template(str(posted(request).get("template_id", ""))):
        raise Refusal(40037)
    return {"errcode": 0, "errmsg": "ok"}
