"""The site's addresses: pages that notify one person or several, and the app's own."""

import threading

from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from tests.factories import ORDER, openid
from wechat_notify.services import notify


def tell(request: HttpRequest, number: int) -> JsonResponse:
    notification = notify(openid(number), "order_paid", ORDER)
    return JsonResponse({"counts": {s: n for s, n in notification.counts.items() if n}})


def threads(request: HttpRequest) -> JsonResponse:
    """How many threads of the app this process has at the moment."""
    names = [thread.name for thread in threading.enumerate()]
    return JsonResponse({"threads": sum(name.startswith("wechat-notify") for name in names)})


def tell_people(request: HttpRequest, people: int) -> JsonResponse:
    notify([openid(number) for number in range(people)], "order_paid", ORDER)
    return JsonResponse({})


urlpatterns = [
    path("threads/", threads),
    path("tell/<int:number>/", tell),
    path("tell/<int:people>/people/", tell_people),
    path("wechat/", include("wechat_notify.urls")),
]
