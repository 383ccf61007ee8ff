"""The page that asks before anything is changed, and the answer to it.

A GET, or a POST without the page's own ``post=yes``, only shows the page and changes nothing.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from ...wechat.errors import Words
from ..base import BaseAdmin, Button
from .frame import admin_page
from .left_out import LeftOut

ALREADY = gettext_lazy("This was done already. Nothing was sent a second time.")
"""Said to the second answer to a page that counts once."""

TOKEN_BYTES = 16


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What will happen, in words.

    ``facts`` are plain paragraphs, ``warnings`` stand out, ``items`` name the objects concerned,
    ``left_out`` those that it will not reach. An ``obstacle`` says why it cannot be done; then
    there is no button. ``hidden`` inputs are sent with the answer. ``ways`` are buttons to pages
    that do away with a warning. ``once`` adds a token, so that pressing the button twice counts
    once.
    """

    title: Words
    button: Words
    back: str
    facts: Sequence[Words] = ()
    warnings: Sequence[Words] = ()
    items_title: Words = ""
    items: Sequence[Words] = ()
    left_out: Sequence[LeftOut] = ()
    obstacle: Words = ""
    form: forms.Form | None = None
    hidden: Sequence[tuple[str, str]] = field(default=(), repr=False)
    ways: Sequence[Button] = ()
    once: bool = False


def ask(
    model_admin: BaseAdmin,
    request: HttpRequest,
    confirmation: Confirmation,
    template: str = "confirm.html",
    **context: Any,
) -> HttpResponse:
    """The page with the question; ``context`` is for a ``template`` of its own."""
    once = new_token() if confirmation.once else ""
    return admin_page(
        model_admin,
        request,
        template,
        title=confirmation.title,
        confirmation=confirmation,
        once=once,
        **context,
    )


def is_confirmed(request: HttpRequest) -> bool:
    """Whether this request answers the question with yes."""
    return request.method == "POST" and request.POST.get("post") == "yes"


def new_token() -> str:
    """A token for a page whose answer counts once; it becomes part of a notification's key."""
    return secrets.token_hex(TOKEN_BYTES)


def once_token(request: HttpRequest, name: str = "once") -> str:
    """The token of the answered page, which identifies a second answer; "" without a valid one."""
    token = request.POST.get(name, "")
    is_ours = len(token) == 2 * TOKEN_BYTES and token.isalnum() and token.isascii()
    return token if is_ours else ""
