"""A site in a process of its own, behind Django's own threaded server, for storms of receipts.

It prints its port, then reads commands from stdin and answers each with a line of JSON:
``rows N`` writes N accepted messages, each with its msgid, each to somebody;
``settle`` joins what is left; ``counts`` says how many rows have which status.
"""

from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.utils import timezone  # noqa: E402

from tests import site_server  # noqa: E402
from tests.factories import make_template  # noqa: E402
from tests.storm import addressee  # noqa: E402
from wechat_notify.models import Notification, Receipt, SendLog  # noqa: E402
from wechat_notify.receipts.settling import settle  # noqa: E402


def rows(count: str) -> Any:
    notification = Notification.objects.create(template=make_template(), data={})
    sent_at = timezone.now() - timedelta(seconds=5)
    SendLog.objects.bulk_create(
        SendLog(
            notification=notification,
            account="default",
            openid=addressee(number),
            msgid=number,
            status=SendLog.Status.SENT,
            sent_at=sent_at,
        )
        for number in range(1, int(count) + 1)
    )
    return counts()


def settle_rest() -> Any:
    return {"settled": settle().settled}


def counts() -> Any:
    wrong = sum(
        # Every third one failed, as storm.py says.
        (log.status == SendLog.Status.DELIVERED) is (int(log.msgid or 0) % 3 == 0)
        for log in SendLog.objects.filter(receipt_at__isnull=False)
    )
    found = {status: n for status, n in SendLog.objects.all().counts().items() if n}
    return {**found, "wrong": wrong, "receipts": Receipt.objects.count()}


COMMANDS = {"rows": rows, "settle": settle_rest, "counts": counts}


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    site_server.run(get_wsgi_application(), COMMANDS)
