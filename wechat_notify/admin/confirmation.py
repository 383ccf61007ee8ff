"""The page that asks before anything is changed, and the answer to it.

Asking is free: a GET, or a POST without the page's own ``post=yes``, shows the page again and
changes nothing.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from django import forms
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse

from ..conf import settings
from ..wechat.errors import Words
from .base import BaseAdmin
from .pages import admin_page

REMEMBERED_SECONDS = 24 * 3600
TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What will happen, in words, before it does.

    ``facts`` are told, ``warnings`` stand out, ``items`` name the objects concerned. With an
    ``obstacle`` it cannot be done, and there is no button. ``hidden`` comes back with the answer.
    ``once`` makes the answer count a single time, however often the button is pressed.
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


def is_repeated(request: HttpRequest) -> bool:
    """Whether the same page has been answered before: somebody pressed the button twice.

    The first to ask is told no, and everybody after that yes.
    """
    token = request.POST.get("once", "")
    if len(token) != 2 * TOKEN_BYTES or not token.isalnum() or not token.isascii():
        return False
    key = f"wechat_notify:once:{token}"
    return not caches[settings.CACHE].add(key, 1, REMEMBERED_SECONDS)
