"""Addresses of the binding pages: which one is right for a browser, and under which host."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import global_settings
from django.http import HttpRequest
from django.urls import is_valid_path, reverse
from django.utils.translation import get_language

from ..conf import settings


def in_wechat(request: HttpRequest) -> bool:
    """Whether the browser is WeChat's own, where web authorisation works."""
    return "MicroMessenger" in request.headers.get("User-Agent", "")


def binding_link(request: HttpRequest, account: str, next_url: str = "") -> str:
    """Where to bind: web authorisation in WeChat's browser, a QR code to scan anywhere else."""
    return page_link(request, "bind" if in_wechat(request) else "bind_qr", account, next_url)


def page_link(
    request: HttpRequest, page: str, account: str, next_url: str = "", **more: Any
) -> str:
    """The address of one of the app's pages, in the namespace that serves this request.

    ``more`` are arguments of the page beside the account.
    """
    match = request.resolver_match
    path = reverse(
        f"wechat_notify:{page}",
        kwargs={"account": account, **more},
        current_app=match.namespace if match else None,
    )
    return f"{path}?{urlencode({'next': next_url})}" if next_url else path


def public_url(request: HttpRequest, path: str) -> str:
    """The whole address of ``path`` as people's browsers reach it.

    Behind a proxy the request may say http where people use https, or an internal host such as
    ``app:8000``: then SITE_URL knows better. Another of the site's domains keeps its own, because
    the session belongs to it.
    """
    host = urlsplit(f"//{request.get_host()}").hostname or ""
    is_internal = "." not in host and host != "localhost"
    if settings.SITE_URL and (is_internal or host == urlsplit(settings.SITE_URL).hostname):
        return f"{settings.SITE_URL}{path}"
    return request.build_absolute_uri(path)


def printed_url(request: HttpRequest, path: str) -> str:
    """The whole address of ``path`` for a poster or a message: under ``SITE_URL`` if there is one.

    The page that makes it may be on a host that is not for everybody, such as the admin's.
    """
    return f"{settings.SITE_URL}{path}" if settings.SITE_URL else request.build_absolute_uri(path)


def login_is_missing(login_url: str) -> bool:
    """Whether the site has no login page at Django's default LOGIN_URL, and names no other."""
    # Where a site's addresses begin with a language, LocaleMiddleware leads there.
    paths = (login_url, f"/{get_language()}{login_url}")
    return login_url == global_settings.LOGIN_URL and not any(map(is_valid_path, paths))
