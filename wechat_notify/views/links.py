"""Which of the binding pages is the right one for a person, by the browser they use."""

from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse


def in_wechat(request: HttpRequest) -> bool:
    """Whether the browser is WeChat's own, where web authorisation works."""
    return "MicroMessenger" in request.headers.get("User-Agent", "")


def binding_link(request: HttpRequest, account: str, next_url: str = "") -> str:
    """Where to bind: web authorisation in WeChat's browser, a QR code to scan anywhere else."""
    return page_link(request, "bind" if in_wechat(request) else "bind_qr", account, next_url)


def page_link(request: HttpRequest, page: str, account: str, next_url: str = "") -> str:
    """The address of one of the app's pages, in the namespace that serves this request."""
    match = request.resolver_match
    path = reverse(
        f"wechat_notify:{page}", args=[account], current_app=match.namespace if match else None
    )
    return f"{path}?{urlencode({'next': next_url})}" if next_url else path
