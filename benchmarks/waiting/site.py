"""A site whose pages notify: WSGI application and addresses, as gunicorn loads them."""

import threading
from typing import Any

import django
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.urls import path

django.setup()

from wechat_notify.models import OpenIDBinding  # noqa: E402
from wechat_notify.services import notify  # noqa: E402

from ..tasks import TEMPLATE_NAME, URL, VALUES  # noqa: E402
from ..workloads.request import bare_writes, call  # noqa: E402
from ..workloads.statements import truncate_the_log  # noqa: E402

SENDER = "wechat-notify"
_statements = 0


def _count(execute: Any, *args: Any) -> Any:
    global _statements  # noqa: PLW0603 - the thread's alone
    _statements += 1
    return execute(*args)


def _watch(connection: Any, **kwargs: Any) -> None:
    if threading.current_thread().name == SENDER and _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)


connection_created.connect(_watch)


@transaction.atomic
def writes(request: HttpRequest, number: int) -> HttpResponse:
    """The page without the app: it writes the same rows itself."""
    bare_writes(number)
    return HttpResponse("ok")


@transaction.atomic
def tell(request: HttpRequest, number: int) -> HttpResponse:
    call(number)
    return HttpResponse("ok")


def crowd(request: HttpRequest, people: int) -> HttpResponse:
    """Tells so many at once; this process sends to them."""
    notify(OpenIDBinding.objects.filter(pk__lte=people), TEMPLATE_NAME, VALUES, url=URL)
    return HttpResponse("ok")


def clear(request: HttpRequest) -> HttpResponse:
    """Forgets all messages."""
    truncate_the_log()
    return HttpResponse("ok")


def statements(request: HttpRequest) -> HttpResponse:
    """How many statements the thread of this process has asked so far."""
    return HttpResponse(str(_statements))


urlpatterns = [
    path("writes/<int:number>/", writes),
    path("tell/<int:number>/", tell),
    path("crowd/<int:people>/", crowd),
    path("clear/", clear),
    path("statements/", statements),
]
application = get_wsgi_application()
