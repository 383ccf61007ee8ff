"""What ``notify()``'s enqueue is compared with: the bare statement, and Django's bulk_create."""

from itertools import islice

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from wechat_notify.models import (
    MessageTemplate,
    Notification,
    OpenIDBinding,
    Receipt,
    SendLog,
)

from ..tasks import ACCOUNT, TEMPLATE_NAME, URL, VALUES, openid

CHUNK = 2_000

_BARE = """
    INSERT INTO {log} (notification_id, account, priority, user_id, binding_id, openid, status,
                       attempts, due_at, errmsg, rid, receipt_status)
    SELECT %s, account, 30, user_id, id, openid, 'pending', 0, %s, '', '', ''
    FROM {bindings} WHERE account = %s AND user_id IN (SELECT id FROM {users} WHERE id <= %s)"""


def bare_insert_select(recipients: int) -> None:
    """The same rows into the same table with the same indexes, and nothing asked or checked."""
    template = MessageTemplate.objects.get(account=ACCOUNT, name=TEMPLATE_NAME)
    data = {name: {"value": value} for name, value in VALUES.items()}
    notification = Notification.objects.create(template=template, data=data, url=URL)
    statement = _BARE.format(
        log=SendLog._meta.db_table,
        bindings=OpenIDBinding._meta.db_table,
        users=get_user_model()._meta.db_table,
    )
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(statement, [notification.pk, now, ACCOUNT, recipients])


def plain_bulk_create(recipients: int) -> None:
    """The rows of so many openids made as Django makes them, and nothing asked or checked."""
    template = MessageTemplate.objects.get(account=ACCOUNT, name=TEMPLATE_NAME)
    data = {name: {"value": value} for name, value in VALUES.items()}
    notification = Notification.objects.create(template=template, data=data, url=URL)
    now = timezone.now()
    numbers = iter(range(1, recipients + 1))
    with transaction.atomic():
        while chunk := list(islice(numbers, CHUNK)):
            SendLog.objects.bulk_create(
                SendLog(notification=notification, account=ACCOUNT, openid=openid(n), due_at=now)
                for n in chunk
            )


def truncate_the_log() -> None:
    """Every run starts on an empty table, and without the receipts that point to it."""
    tables = [Receipt._meta.db_table, SendLog._meta.db_table]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - a table's name only


def empty_the_log() -> None:
    """The same, and no other run's checkpoint happens in its time. PostgreSQL's superusers only."""
    truncate_the_log()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")
