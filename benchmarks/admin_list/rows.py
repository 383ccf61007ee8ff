"""A send log of as many rows as one likes: a busy school's, with the trouble there always is."""

from django.core.management import call_command
from django.db import connection

from wechat_notify.models import MessageTemplate

from ..tasks import ACCOUNT, CONTENT, URL

TEMPLATES = 12
SMALL, LARGE = 9, 100_000
"""Recipients of an everyday notification, and of the one that goes to everybody: of a million rows,
a hundred thousand notifications."""
DAYS = 120

_LOGS = """
    INSERT INTO wechat_notify_sendlog (
        notification_id, account, user_id, openid, status, attempts, due_at, claimed_at,
        errcode, errmsg, rid, msgid, sent_at, finished_at, receipt_at, receipt_status)
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
           CASE WHEN k < 998 THEN n.created_at END,
           CASE WHEN k < 900 THEN n.created_at END,
           CASE WHEN k < 900 THEN 'success' WHEN k BETWEEN 990 AND 995
                THEN 'failed:user block' ELSE '' END
    FROM generate_series(%(first)s, %(last)s) AS i
    CROSS JOIN LATERAL (
        SELECT (i::bigint * 7919) %% 1000 AS k, 1 + (i::bigint * 104729) %% %(people)s AS u
    ) AS x
    JOIN wechat_notify_notification AS n ON n.id = %(notification)s + (i - %(first)s) / %(size)s"""
_NOTIFICATIONS = """
    INSERT INTO wechat_notify_notification (
        id, template_id, title, search_text, data, url, source, created_at, cancelled_at, paused_at,
        send_at, is_test)
    SELECT i, 1 + i %% %(templates)s, '订单 ' || i || ' · 围巾', lower('订单 ' || i || ' · 围巾
手工羊毛围巾（深灰色）等三件商品
2026年11月23日 15:01
1239.80元
SN' || 20261123150100000000 + i || '
已发货'),
           json_build_object(
               'thing1', json_build_object('value', '手工羊毛围巾（深灰色）等三件商品'),
               'time2', json_build_object('value', '2026年11月23日 15:01'),
               'amount3', json_build_object('value', '1239.80元'),
               'character_string4',
               json_build_object('value', 'SN' || 20261123150100000000 + i),
               'phrase5', json_build_object('value', '已发货')),
           %(url)s, 'code', now() - %(days)s * interval '1 day' * (1 - i / %(count)s::float),
           CASE WHEN i %% 1000 = 1 THEN now() END, CASE WHEN i %% 1000 = 2 THEN now() END,
           CASE WHEN i %% 1000 = 3 THEN now() + interval '1 day' END, i %% 1000 = 4
    FROM generate_series(1, %(count)s) AS i"""


def fill(rows: int, people: int) -> None:
    """Write ``rows`` messages to so many people; the last notification is the large one."""
    call_command("migrate", verbosity=0)
    MessageTemplate.objects.bulk_create(
        MessageTemplate(name=f"t{n}", template_id=f"T{n}", title=f"通知 {n}", content=CONTENT)
        for n in range(2, TEMPLATES + 1)
    )
    small = (rows - min(LARGE, rows // 2)) // SMALL
    shared = {"account": ACCOUNT, "people": people}
    with connection.cursor() as cursor:
        counts = {"templates": TEMPLATES, "days": DAYS, "count": small + 1, "url": URL}
        cursor.execute(_NOTIFICATIONS, counts)
        for first, last, notification, size in (
            (1, small * SMALL, 1, SMALL),
            (small * SMALL + 1, rows, small + 1, rows),
        ):
            place = {"first": first, "last": last, "notification": notification, "size": size}
            cursor.execute(_LOGS, {**shared, **place})
        cursor.execute("VACUUM ANALYZE")
