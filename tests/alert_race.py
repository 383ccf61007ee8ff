"""A process in which eight threads look and tell at once; prints what came of it."""

import json
import sys
import threading
from contextlib import nullcontext
from datetime import timedelta

import django
from django.conf import settings

if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    settings.DATABASES["default"].setdefault("OPTIONS", {})["timeout"] = 20
django.setup()

from django.contrib.auth.models import Permission  # noqa: E402
from django.core import mail  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402
from django.utils import timezone  # noqa: E402

from tests.factories import make_user  # noqa: E402
from wechat_notify.alerts.comparing import look  # noqa: E402
from wechat_notify.alerts.mailing import send_due  # noqa: E402
from wechat_notify.models import Alert  # noqa: E402
from wechat_notify.sending.breaker import Breaker  # noqa: E402

THREADS = 8

call_command("migrate", verbosity=0)
make_user("alice", email="alice@school.example").user_permissions.add(
    Permission.objects.get(codename="receive_alerts")
)
setup_test_environment()  # e-mails stay in the process
barrier = threading.Barrier(THREADS)
opened: list[int] = []
closed: list[int] = []
errors: list[str] = []


def call() -> None:
    barrier.wait()
    try:
        changes = look()
        opened.extend(alert.pk for alert in changes.opened)
        closed.extend(alert.pk for alert in changes.closed)
        send_due(nullcontext())
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
        errors.append(repr(error))
    finally:
        connection.close()


def all_at_once() -> None:
    threads = [threading.Thread(target=call) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


Breaker("default").trip(45009, "quota")
all_at_once()
Breaker("default").clear()
Alert.objects.update(seen_at=timezone.now() - timedelta(hours=1))
all_at_once()
sys.stdout.write(
    json.dumps(
        {
            "errors": errors,
            "opened": len(opened),
            "closed": len(closed),
            "rows": Alert.objects.count(),
            "mails": sorted("Over" if "Over" in one.subject else "one" for one in mail.outbox),
        }
    )
)
