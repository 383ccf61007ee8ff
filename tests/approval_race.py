"""A process in which people decide on one request at the same moment; prints what went wrong."""

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings

if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    settings.DATABASES["default"].setdefault("OPTIONS", {})["timeout"] = 60
settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "APPROVAL_ABOVE": 2}
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from tests.factories import ORDER, make_bindings, make_template, make_user  # noqa: E402
from wechat_notify.approving import approve, refuse  # noqa: E402
from wechat_notify.exceptions import CannotDecide  # noqa: E402
from wechat_notify.models import Approval, Notification, SendLog  # noqa: E402
from wechat_notify.services import cancel, notify  # noqa: E402

ROUNDS = 12

call_command("migrate", verbosity=0)
template, bindings = make_template(), make_bindings(3)
asker, first, second, third = (make_user(name) for name in ("asker", "first", "second", "third"))
wrong: list[str] = []


def decide(verb: Callable[[], Any], barrier: threading.Barrier, done: list[str], name: str) -> None:
    barrier.wait()
    try:
        verb()
        done.append(name)
    except CannotDecide:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
        wrong.append(repr(error))
    finally:
        connection.close()


def race() -> None:
    made = notify(bindings, template, ORDER, created_by=asker, _source=Notification.Source.ADMIN)
    pk = made.pk
    verbs: dict[str, Callable[[], Any]] = {
        "first": lambda: approve(Notification.objects.get(pk=pk), first),
        "second": lambda: approve(Notification.objects.get(pk=pk), second),
        "third": lambda: refuse(Notification.objects.get(pk=pk), third, "no"),
        "cancel": lambda: cancel(Notification.objects.get(pk=pk)),
    }
    barrier, done = threading.Barrier(len(verbs)), []  # type: ignore[var-annotated]
    threads = [
        threading.Thread(target=decide, args=(verb, barrier, done, name))
        for name, verb in verbs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever comes first decides. A cancellation is no decision, and works at any time.
    deciders = [name for name in done if name != "cancel"]
    if len(deciders) > 1:
        wrong.append(f"decided by {deciders}")
    approval = Approval.objects.get(notification=pk)
    expected = deciders[0] if deciders else ""
    if approval.is_open or approval.decided_by_name != expected:
        wrong.append(f"recorded {approval.decision} by {approval.decided_by_name}, not {expected}")
    # It was cancelled at last, whoever decided, so that nothing may be left that could leave.
    left = SendLog.objects.filter(notification=pk).exclude(status="cancelled").count()
    sent = SendLog.objects.filter(notification=pk, status__in=("sending", "sent")).count()
    if left not in (0, sent):
        wrong.append(f"{left} rows are left, of which {sent} were sent")


for _round in range(ROUNDS):
    race()
sys.stdout.write(json.dumps(wrong))
