"""The page that asks before anything is changed, and the answer to it.

Asking is free: a GET, or a POST without the page's own ``post=yes``, shows the page again and
changes nothing.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from django import forms
from django.http import HttpRequest, HttpResponse

from ..wechat.errors import Words
from .base import BaseAdmin
from .pages import admin_page

TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What will happen, in words, before it does.

    ``facts`` are told, ``warnings`` stand out, ``items`` name the objects concerned. With an
    ``obstacle`` it cannot be done, and there is no button. ``hidden`` comes back with the answer.
    With ``once`` a token of its own comes back too, which makes the answer count a single time,
    however often the button is pressed.
    """

    title: Words
    button: Words
    back: str
    facts: Sequence[Words] = ()
    warnings: Sequence[Words] = ()
    items_title: Words = ""
    items: Sequence[Words] = ()
    obstacle: Words = ""
    form: forms.Form | None = None
    hidden: Sequence[tuple[str, str]] = field(default=(), repr=False)
    once: bool = False


def ask(
    model_admin: BaseAdmin,
    request: HttpRequest,
    confirmation: Confirmation,
    template: str = "confirm.html",
) -> HttpResponse:
    """The page with the question. It changes nothing."""
    once = secrets.token_hex(TOKEN_BYTES) if confirmation.once else ""
    return admin_page(
        model_admin,
        request,
        template,
        title=confirmation.title,
        confirmation=confirmation,
        once=once,
    )


def is_confirmed(request: HttpRequest) -> bool:
    """Whether this request answers the question with yes."""
    return request.method == "POST" and request.POST.get("post") == "yes"


def once_token(request: HttpRequest) -> str:
    """The answered page's own token, by which a second answer to it can be told; "" without one."""
    token = request.POST.get("once", "")
    is_ours = len(token) == 2 * TOKEN_BYTES and token.isalnum() and token.isascii()
    return token if is_ours else ""
