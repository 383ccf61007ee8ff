"""A process in which eight threads call notify() with one key at once; prints what came of it."""

import json
import sys
import threading

import django
from django.conf import settings

settings.DATABASES["default"].setdefault("OPTIONS", {})["timeout"] = 20
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from tests.factories import ORDER, make_binding, make_template  # noqa: E402
from wechat_notify.backends import locmem  # noqa: E402
from wechat_notify.models import Notification, SendLog  # noqa: E402
from wechat_notify.services import notify  # noqa: E402

THREADS = 8

call_command("migrate", verbosity=0)
template, binding = make_template(), make_binding()
barrier = threading.Barrier(THREADS)
returned: list[int] = []
errors: list[str] = []


def call() -> None:
    barrier.wait()
    try:
        returned.append(notify(binding, template, ORDER, key="order-1").pk)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
        errors.append(repr(error))
    finally:
        connection.close()


threads = [threading.Thread(target=call) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.stdout.write(
    json.dumps(
        {
            "errors": errors,
            "notifications": Notification.objects.count(),
            "returned": len(set(returned)),
            "rows": SendLog.objects.count(),
            "sent": len(locmem.outbox),
        }
    )
)
