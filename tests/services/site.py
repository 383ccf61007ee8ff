"""What a site's web process does, as a process of its own: one command, one line of JSON.

``migrate``; ``notify N [seconds]`` writes a notification to N openids, due now or in so many
seconds, and lets the dispatcher do its part; ``counts``: messages by status; ``early``: those sent
before their time; ``forget_tasks``.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

import tests.services.celery_app  # noqa: E402, F401 - a site imports its app, as Celery's guide says
from tests.factories import ORDER, make_template, openid  # noqa: E402
from wechat_notify.models import MessageTemplate, SendLog  # noqa: E402
from wechat_notify.services import notify  # noqa: E402


def migrate() -> Any:
    call_command("migrate", verbosity=0)
    return "ok"


def send(count: str, seconds: str = "0") -> Any:
    template = MessageTemplate.objects.first() or make_template()
    send_at = timezone.now() + timedelta(seconds=float(seconds)) if float(seconds) else None
    first = SendLog.objects.count()
    people = (openid(first + number) for number in range(int(count)))
    return notify(people, template, ORDER, send_at=send_at).pk


def counts() -> Any:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


def early() -> Any:
    return SendLog.objects.filter(sent_at__lt=F("notification__send_at")).count()


def forget_tasks() -> Any:
    """Empty the task queue's own tables, which the test suite's flush does not know."""
    return apps.get_model("django_tasks_database", "DBTaskResult").objects.all().delete()[0]


COMMANDS = {
    "migrate": migrate,
    "notify": send,
    "counts": counts,
    "early": early,
    "forget_tasks": forget_tasks,
}

name, *arguments = sys.argv[1:]
sys.stdout.write(json.dumps(COMMANDS[name](*arguments)) + "\n")
