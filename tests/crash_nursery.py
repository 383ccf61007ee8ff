"""A process with Django set up that forks workers on demand, so that a hundred of them start fast.

It reads one command a line from stdin and answers each with one line of JSON:
``rows N`` writes a notification to N openids; ``spawn`` forks a worker that delivers until it is
killed; ``reap PID`` waits for it; ``drain`` delivers until nothing is open; ``counts``.
"""

import json
import os
import sys
import time
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from tests.factories import ORDER, make_template, openid  # noqa: E402
from wechat_notify.backends.registry import get_backend  # noqa: E402
from wechat_notify.delivery import engine  # noqa: E402
from wechat_notify.models import SendLog  # noqa: E402
from wechat_notify.services import notify  # noqa: E402


def rows(count: str) -> Any:
    call_command("migrate", verbosity=0)
    get_backend("default").get_templates()  # leaves a token in the cache for every worker
    notify((openid(n) for n in range(int(count))), make_template(), ORDER)
    return counts()


def spawn() -> Any:
    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    while True:
        engine.deliver()
        time.sleep(0.01)


def reap(pid: str) -> Any:
    os.waitpid(int(pid), 0)
    return pid


def drain() -> Any:
    deadline = time.monotonic() + 60
    while SendLog.objects.filter(status__in=SendLog.OPEN).exists():
        if time.monotonic() > deadline:
            break
        engine.deliver()
        time.sleep(0.05)
    return counts()


def counts() -> Any:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


COMMANDS = {"rows": rows, "spawn": spawn, "reap": reap, "drain": drain, "counts": counts}

for line in sys.stdin:
    name, *arguments = line.split()
    answer = COMMANDS[name](*arguments)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
