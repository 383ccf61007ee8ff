"""Users with bindings, and one template: written by the database itself, like real ones."""

import time
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection

from wechat_notify.models import MessageTemplate, OpenIDBinding

from ..tasks import ACCOUNT, CONTENT, TEMPLATE_ID, TEMPLATE_NAME, Stopwatch, Task, Workload

_USERS = """
    INSERT INTO {users} (id, username, first_name, last_name, email, password,
                         is_staff, is_active, is_superuser, date_joined)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)
    SELECT i, 'user' || i, '', '', '', '!', {no}, {yes}, {no}, CURRENT_TIMESTAMP FROM n"""
_BINDINGS = """
    INSERT INTO {bindings} (id, user_id, account, openid, unionid, subscribed, source, created_at)
    SELECT id, id, %s,
           'oBench' || substr('0000000000000000000000', 1, 22 - length(CAST(id AS TEXT))) || id,
           '', {yes}, 'oauth', CURRENT_TIMESTAMP FROM {users}"""


class Population:
    """``run`` fills an empty, migrated database with ``recipients`` people."""

    def __init__(self, recipients: int) -> None:
        self._recipients = recipients

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        begun = time.monotonic()
        MessageTemplate.objects.create(
            account=ACCOUNT,
            name=TEMPLATE_NAME,
            template_id=TEMPLATE_ID,
            title="订单发货通知",
            content=CONTENT,
        )
        with connection.cursor() as cursor:
            cursor.execute(_filled(_USERS), [self._recipients])
            cursor.execute(_filled(_BINDINGS), [ACCOUNT])
            if connection.vendor == "postgresql":
                cursor.execute("VACUUM ANALYZE")
        return {"seconds": time.monotonic() - begun}


def _filled(statement: str) -> str:
    yes, no = ("true", "false") if connection.vendor == "postgresql" else ("1", "0")
    return statement.format(
        users=get_user_model()._meta.db_table,
        bindings=OpenIDBinding._meta.db_table,
        yes=yes,
        no=no,
    )


def make(task: Task) -> Workload:
    return Population(task.recipients)
