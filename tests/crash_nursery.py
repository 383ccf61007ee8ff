"""A process with Django set up that forks workers on demand, so that a hundred of them start fast.

It reads one command a line from stdin and answers each with one line of JSON:
``rows N`` writes a notification to N openids; ``spawn`` forks a worker that delivers until it is
killed; ``reap PID`` waits for it; ``drain`` delivers until nothing is due; ``counts``.
``named N`` is as ``rows``, with field names and a second template; ``named N stand-in`` makes that
the stand-in; ``replace`` replaces the first by it.
"""

import json
import os
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.models import F  # noqa: E402

from tests.crash_templates import NAMES, SPARE_CONTENT, SPARE_NAMES  # noqa: E402
from tests.factories import ORDER, make_template, openid  # noqa: E402
from tests.waiting import wait_until  # noqa: E402
from wechat_notify.backends.registry import get_backend  # noqa: E402
from wechat_notify.conf import settings  # noqa: E402
from wechat_notify.models import MessageTemplate, SendLog  # noqa: E402
from wechat_notify.sending import engine  # noqa: E402
from wechat_notify.services import notify, replace_template  # noqa: E402


def rows(count: str) -> Any:
    call_command("migrate", verbosity=0)
    get_backend("default").get_templates()  # leaves a token in the cache for every worker
    notify((openid(n) for n in range(int(count))), make_template(), ORDER)
    return counts()


def named(count: str, stand_in: str = "") -> Any:
    call_command("migrate", verbosity=0)
    get_backend("default").get_templates()
    spare = make_template("spare", content=SPARE_CONTENT, field_names=SPARE_NAMES)
    first = make_template(field_names=NAMES, stand_in=spare if stand_in else None)
    data = {name: ORDER[key] for name, key in NAMES.items()}
    notify((openid(n) for n in range(int(count))), first, data)
    return counts()


def replace() -> Any:
    old, new = (MessageTemplate.objects.get(name=name) for name in ("order_paid", "spare"))
    return replace_template(old, new)


def spawn() -> Any:
    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    while True:
        engine.deliver()
        time.sleep(0.01)


def reap(pid: str) -> Any:
    """Wait for a killed worker; and let time pass, until the lease of what it held has ended."""
    os.waitpid(int(pid), 0)
    lease = timedelta(seconds=settings.LEASE + 1)
    SendLog.objects.filter(status=SendLog.Status.SENDING).update(
        claimed_at=F("claimed_at") - lease, in_doubt_since=F("in_doubt_since") - lease
    )
    return pid


def drain() -> Any:
    parked = {"status": SendLog.Status.PENDING, "due_at": None}
    still_open = SendLog.objects.filter(status__in=SendLog.OPEN).exclude(**parked)

    def is_done() -> bool:
        engine.deliver()
        return not still_open.exists()

    with suppress(AssertionError):  # the counts tell more
        wait_until(is_done)
    return counts()


def counts() -> Any:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


COMMANDS = {
    "rows": rows,
    "named": named,
    "replace": replace,
    "spawn": spawn,
    "reap": reap,
    "drain": drain,
    "counts": counts,
}

for line in sys.stdin:
    name, *arguments = line.split()
    answer = COMMANDS[name](*arguments)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
