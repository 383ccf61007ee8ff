"""A small site that lets people bind WeChat: its addresses, and a policy under which all must work.

Nothing here is a browser's or WeChat's part; those are real in tests/browser.
"""

from collections.abc import Callable

from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from django.views import View

from wechat_notify.mixins import WeChatBindingRequiredMixin
from wechat_notify.views.binding import BindView
from wechat_notify.wechat import oauth

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PROFILE = """{% load wechat_notify %}<!doctype html><html lang="zh-Hans"><head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>我的</title></head>
<body><h1>{{ user.username }}</h1>{% wechat_bind_button %}</body></html>"""


def strict_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Middleware: no inline script or style, nothing from elsewhere, on any page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return middleware


@login_required
def profile(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PROFILE).render({}, request))


class Notices(WeChatBindingRequiredMixin, View):
    """A page for people who have bound WeChat."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("notices")


urlpatterns = [
    path("wechat/", include("wechat_notify.urls")),
    path("userinfo/<str:account>/bind/", BindView.as_view(scope=oauth.USERINFO)),
    path("accounts/login/", auth_views.LoginView.as_view(), name="login"),
    path("profile/", profile, name="profile"),
    path("notices/", Notices.as_view(), name="notices"),
]
