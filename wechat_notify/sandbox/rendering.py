"""HTML from templates, and the files beside them. Needs no Django settings."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from .protocol import Response

HERE = Path(__file__).parent / "assets"
PACKAGE = Path(__file__).parent.parent

STATIC = PACKAGE / "static" / "wechat_notify"

FILES = {
    "card.css": (STATIC / "card.css", "text/css; charset=utf-8"),
    "favicon.svg": (STATIC / "favicon.svg", "image/svg+xml"),
    "phone.css": (HERE / "phone.css", "text/css; charset=utf-8"),
    "phone.js": (HERE / "phone.js", "text/javascript; charset=utf-8"),
}

# Message texts come from outside. They are escaped; this policy keeps scripts from running anyhow.
SECURITY = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    # Not no-referrer: under it a browser posts the page's own forms with "Origin: null".
    ("Referrer-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)

_engine = Engine(dirs=[str(HERE), str(PACKAGE / "templates")])


def render(name: str, context: Mapping[str, Any]) -> str:
    """A template of the sandbox with this context. Values are texts, booleans and lists of them:
    a number or a date would ask Django's settings how to be written."""
    return str(_engine.get_template(name).render(Context(context)))


def page(
    name: str,
    context: Mapping[str, Any],
    *,
    status: int = HTTPStatus.OK,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """A template as an answer, with a strict content security policy."""
    return Response(render(name, context).encode(), status, headers=SECURITY + headers)


@cache
def asset(name: str) -> Response | None:
    """A style sheet or script, or None where there is none of this name."""
    if name not in FILES:
        return None
    path, content_type = FILES[name]
    return Response(path.read_bytes(), content_type=content_type, headers=SECURITY)
