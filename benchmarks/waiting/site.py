"""A site whose pages notify: WSGI application and addresses, as gunicorn loads them."""

import threading
from typing import Any

import django
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone

django.setup()

from wechat_notify.models import (  # noqa: E402
    MessageTemplate,
    Notification,
    OpenIDBinding,
    SendLog,
)
from wechat_notify.services import notify  # noqa: E402

from ..tasks import ACCOUNT, TEMPLATE_NAME, URL, VALUES, openid  # noqa: E402
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


def accepted(request: HttpRequest, messages: int) -> HttpResponse:
    """WeChat has taken so many messages a moment ago, and nothing else is known."""
    truncate_the_log()
    template = MessageTemplate.objects.get(account=ACCOUNT, name=TEMPLATE_NAME)
    notification = Notification.objects.create(template=template, data={})
    common = {"account": ACCOUNT, "status": SendLog.Status.SENT, "sent_at": timezone.now()}
    SendLog.objects.bulk_create(
        SendLog(notification=notification, openid=openid(number), msgid=number, **common)
        for number in range(1, messages + 1)
    )
    return HttpResponse("ok")


def without_receipt(request: HttpRequest) -> HttpResponse:
    """How many messages no receipt was joined to."""
    return HttpResponse(str(SendLog.objects.filter(receipt_at=None).count()))


def statements(request: HttpRequest) -> HttpResponse:
    """How many statements the thread of this process has asked so far."""
    return HttpResponse(str(_statements))


urlpatterns = [
    path("writes/<int:number>/", writes),
    path("tell/<int:number>/", tell),
    path("crowd/<int:people>/", crowd),
    path("clear/", clear),
    path("statements/", statements),
    path("accepted/<int:messages>/", accepted),
    path("without_receipt/", without_receipt),
    path("wechat/", include("wechat_notify.urls")),
]
application = get_wsgi_application()
