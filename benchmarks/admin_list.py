"""``python -m benchmarks.admin_list``: the admin's pages over a send log of a million rows.

    python -m benchmarks.admin_list --rows 100000

On the PostgreSQL server named by DATABASE_URL, else the one at 127.0.0.1:5432, in a database of its
own that is dropped at the end. The time is the server's: from the request to the rendered page, in
this process, middleware included; the network and the browser come on top.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import django
from django.conf import settings as django_settings

from . import databases
from .tasks import ACCOUNT, APP_ID, APP_SECRET, CONTENT

AIM_MS = 300
RUNS = 7
PEOPLE = 100_000
TEMPLATES = 12
SMALL, LARGE = 100, 100_000
"""Recipients of an everyday notification, and of the one that goes to everybody."""
DAYS = 120

# Of each thousand messages: a busy school's, with the trouble that there always is.
_LOGS = """
    INSERT INTO wechat_notify_sendlog (
        notification_id, account, user_id, openid, status, attempts, due_at, claimed_at,
        errcode, errmsg, rid, msgid, sent_at, receipt_at, receipt_status)
    SELECT n.id, %(account)s, u, 'oBench' || lpad(u::text, 22, '0'),
           CASE WHEN k < 900 THEN 'delivered' WHEN k < 940 THEN 'sent' WHEN k < 970 THEN 'failed'
                WHEN k < 990 THEN 'skipped' WHEN k < 996 THEN 'undelivered'
                WHEN k < 998 THEN 'uncertain' ELSE 'pending' END,
           1, CASE WHEN k >= 998 THEN now() END, n.created_at,
           CASE WHEN k < 940 THEN 0 WHEN k < 955 THEN 43004 WHEN k < 969 THEN 43101
                WHEN k = 969 THEN -1 END,
           CASE WHEN k < 940 THEN 'ok' WHEN k < 970 THEN 'refused rid: 12-34-' || i
                WHEN k < 990 THEN 'has not bound WeChat' ELSE '' END,
           CASE WHEN k BETWEEN 940 AND 969 THEN '12-34-' || i ELSE '' END,
           CASE WHEN k < 940 OR k BETWEEN 990 AND 995 THEN 3717000000000000000 + i END,
           CASE WHEN k < 940 THEN n.created_at END,
           CASE WHEN k < 900 THEN n.created_at END,
           CASE WHEN k < 900 THEN 'success' WHEN k BETWEEN 990 AND 995
                THEN 'failed:user block' ELSE '' END
    FROM generate_series(%(first)s, %(last)s) AS i
    CROSS JOIN LATERAL (SELECT (i * 7919) %% 1000 AS k, 1 + (i * 104729) %% %(people)s AS u) AS x
    JOIN wechat_notify_notification AS n ON n.id = %(notification)s + (i - %(first)s) / %(size)s"""
_NOTIFICATIONS = """
    INSERT INTO wechat_notify_notification (id, template_id, data, url, source, created_at)
    SELECT i, 1 + i %% %(templates)s, '{"thing1": {"value": "x"}}', '', 'code',
           now() - %(days)s * interval '1 day' * (1 - i / %(count)s::float)
    FROM generate_series(1, %(count)s) AS i"""


@dataclass(frozen=True)
class Page:
    """One page: its address, and what it is called in the table."""

    label: str
    address: str


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.admin_list",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the send log")
    options = parser.parse_args()
    with databases.postgresql() as database:
        if not database:
            raise SystemExit(1)
        databases.populate(database, PEOPLE)
        _set_up(database)
        _fill(options.rows)
        print(f"{options.rows:,} rows, medians of {RUNS}; aim: {AIM_MS} ms for the list")
        for page in _pages():
            _measure(page)
        _close()


def _set_up(database: str) -> None:
    """Django with its admin over this database: what a site has, and nothing more."""
    import environ  # noqa: PLC0415  # Django is not set up before

    django_settings.configure(
        SECRET_KEY="only-for-the-benchmarks",
        USE_TZ=True,
        TIME_ZONE="Asia/Shanghai",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        STATIC_URL="/static/",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django.contrib.staticfiles",
            "wechat_notify",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        DATABASES={"default": environ.Env.db_url_config(database)},
        WECHAT_NOTIFY={"ACCOUNTS": {ACCOUNT: {"APP_ID": APP_ID, "APP_SECRET": APP_SECRET}}},
    )
    django.setup()


def __getattr__(name: str) -> Any:
    """``urlpatterns``, when Django's resolver asks for them: not before the apps are loaded."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.contrib import admin  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    return [path("admin/", admin.site.urls)]


def _fill(rows: int) -> None:
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    from wechat_notify.models import MessageTemplate  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    MessageTemplate.objects.bulk_create(
        MessageTemplate(name=f"t{n}", template_id=f"T{n}", title=f"通知 {n}", content=CONTENT)
        for n in range(2, TEMPLATES + 1)
    )
    large = min(LARGE, rows // 2)
    small = (rows - large) // SMALL
    parts = {"templates": TEMPLATES, "days": DAYS, "count": small + 1, "account": ACCOUNT}
    parts |= {"people": PEOPLE}
    with connection.cursor() as cursor:
        cursor.execute(_NOTIFICATIONS, parts)
        for first, last, notification, size in (
            (1, small * SMALL, 1, SMALL),
            (small * SMALL + 1, rows, small + 1, rows),
        ):
            place = {"first": first, "last": last, "notification": notification, "size": size}
            cursor.execute(_LOGS, {**parts, **place})
        cursor.execute("VACUUM ANALYZE")


def _pages() -> Iterator[Page]:
    from wechat_notify.models import Notification, SendLog  # noqa: PLC0415

    log = "/admin/wechat_notify/sendlog/"
    notification = "/admin/wechat_notify/notification/"
    largest = Notification.objects.latest("pk").pk
    message = SendLog.objects.latest("pk")
    yield Page("send log", log)
    yield Page("send log, page 100", f"{log}?p=100")
    yield Page("send log, older", f"{log}?id__lt={message.pk // 2}")
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
        "openid": f"q={message.openid}",
        "msgid": "q=3717000000000000017",
        "user name": "q=user4711",
        "part of a name": "q=4711",
        "nobody": "q=nobodyofthisname",
    }.items():
        yield Page(f"send log: {label}", f"{log}?{query}")
    yield Page("one message", f"{log}{message.pk}/change/")
    yield Page("notifications", notification)
    yield Page("notification of 100,000", f"{notification}{largest}/change/")
    yield Page("its progress", f"{notification}{largest}/progress/")
    yield Page("dashboard, not cached", f"{log}dashboard/")


def _measure(page: Page) -> None:
    from django.contrib.auth import get_user_model  # noqa: PLC0415
    from django.core.cache import cache  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    user, _new = get_user_model().objects.get_or_create(
        username="boss", is_staff=True, is_superuser=True
    )
    client = Client()
    client.force_login(user)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        response = client.get(page.address)
    if response.status_code != 200:
        raise RuntimeError(f"{page.address} answered {response.status_code}")
    seconds = []
    for _run in range(RUNS):
        cache.clear()
        begun = time.perf_counter()
        client.get(page.address)
        seconds.append(time.perf_counter() - begun)
    milliseconds = 1000 * statistics.median(seconds)
    print(f"{page.label:36s} {milliseconds:8.0f} ms  {len(asked):3d} queries", flush=True)


def _close() -> None:
    from django.db import connections  # noqa: PLC0415

    connections.close_all()


if __name__ == "__main__":
    main()
