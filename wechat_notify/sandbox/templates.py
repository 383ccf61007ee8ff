"""Template management (WECHAT.md 3)."""

import secrets
import string
from typing import Any

from .protocol import Request
from .records import Template
from .refusals import Refusal
from .send import posted
from .state import State

ALPHABET = string.ascii_letters + string.digits + "-_"
ID_LENGTH = 43
MOST_TEMPLATES = 25


def list_templates(state: State, request: Request) -> dict[str, Any]:
    """GET get_all_private_template: every template at once, and no errcode."""
    return {"template_list": [template.as_listed() for template in state.templates()]}


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
