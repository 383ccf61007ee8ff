"""How long each page takes, and how many queries."""

import statistics
import time
import urllib.parse
from collections.abc import Iterator

from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from wechat_notify.models import Notification, SendLog
from wechat_notify.notification_state import State

AIM_MS = 300
RUNS = 7


def measure() -> None:
    """Print a line for each page: the median of its server time, and its queries."""
    # The people were written with numbers of their own, past the database's counter.
    user = get_user_model()(pk=0, username="boss", is_staff=True, is_superuser=True)
    user.save(force_insert=True)
    client = Client()
    client.force_login(user)
    print(f"{SendLog.objects.count():,} rows, medians of {RUNS}; aim for the list: {AIM_MS} ms")
    for label, address in _pages():
        milliseconds, queries = _page(client, address)
        print(f"{label:36s} {milliseconds:8.0f} ms {queries:3d} queries", flush=True)
    connections.close_all()


def _page(client: Client, address: str) -> tuple[float, int]:
    with CaptureQueriesContext(connection) as asked:
        response = client.get(address)
    if response.status_code != 200:
        raise RuntimeError(f"{address} answered {response.status_code}")
    queries = len(asked)  # now: the next request forgets them
    seconds = []
    for _run in range(RUNS):
        cache.clear()
        begun = time.perf_counter()
        client.get(address)
        seconds.append(time.perf_counter() - begun)
    return 1000 * statistics.median(seconds), queries


def _pages() -> Iterator[tuple[str, str]]:
    log = "/admin/wechat_notify/sendlog/"
    notification = "/admin/wechat_notify/notification/"
    largest = Notification.objects.latest("pk").pk
    message = SendLog.objects.latest("pk")
    yield "send log", log
    yield "send log, page 100", f"{log}?p=100"
    yield "send log, older", f"{log}?id__lt={message.pk // 2}"
    for label, query in {
        "status, common": "status__exact=delivered",
        "status, rare": "status__exact=uncertain",
        "template": "notification__template__id__exact=3",
        "errcode, common": "error=43004",
        "errcode, rare": "error=-1",
        "errcode, none such": "error=40037",
        "any errcode": "error=yes",
        "status and errcode": "status__exact=failed&error=-1",
        "template and status": "notification__template__id__exact=3&status__exact=uncertain",
        "notification": f"notification={largest}",
        "tests only": "test=yes",
        "without tests": "test=no",
        "status, without tests": "status__exact=uncertain&test=no",
        "openid": f"q={message.openid}",
        "msgid": "q=3717000000000000017",
        "user name": "q=user4711",
        "part of a name": "q=4711",
        "nobody": "q=nobodyofthisname",
    }.items():
        yield f"send log: {label}", f"{log}?{query}"
    yield "one message", f"{log}{message.pk}/change/"
    yield "notifications", notification
    for label, query in {
        "title, one": f"q={urllib.parse.quote(f'订单 {largest // 2}')}",
        "content, all": f"q={urllib.parse.quote('羊毛围巾')}",
        "content, one": f"q=sn{20261123150100000000 + largest // 2}",
        "number": f"q=%23{largest // 2}",
        "number or content": f"q={largest // 2}",
        "template": f"q={urllib.parse.quote('通知 3')}",
        "nobody remembers": "q=nothingofthisname",
    }.items():
        yield f"notifications: {label}", f"{notification}?{query}"
    yield "notifications: tests only", f"{notification}?test=yes"
    for state in State:
        yield f"notifications: state {state.value}", f"{notification}?state={state.value}"
    yield "notification of 100,000", f"{notification}{largest}/change/"
    yield "its progress", f"{notification}{largest}/progress/"
    yield "its people not reached", f"{notification}{largest}/not-reached/"
    yield "its resend question", f"{notification}{largest}/resend/"
    yield "composing it once more", f"{notification}compose/?earlier={largest}&outcome=all"
    missed = f"{notification}compose/?earlier={largest}&outcome=missed"
    yield "composing it for who missed it", missed
    yield "to approve", f"{notification}to-approve/"
    yield "drafts", "/admin/wechat_notify/draft/"
    yield "alerts", "/admin/wechat_notify/alert/"
    yield "dashboard, not cached", f"{log}dashboard/"
