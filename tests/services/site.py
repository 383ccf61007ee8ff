"""What a site's web process does, as a process of its own: one command, one line of JSON.

``migrate``; ``notify N [seconds]`` writes a notification to N openids, due now or in so many
seconds, and lets the dispatcher do its part; ``counts``: messages by status; ``sent``: their
openids and msgids; ``early``: those sent before their time; ``age N``: as if what workers hold had
been taken N seconds earlier; ``doubtful``: those that wait and may have left; ``callbacks``: posts
some; ``doctor``: what it says; ``tell N``: as many Celery tasks that notify one person each;
``fork N``: notifies, and so does a child, N times; ``forget_tasks``. ``book N``: appointments of
which people are to be reminded now; ``choose NAME``: somebody who is told of alerts; ``ban``:
WeChat has stopped a template; ``late``: what waits is due since an hour; ``alerts``: the kind of
each, and whether it is open; ``mails``: how many are sent, wait, and were given up.
``order``: a new one, ``pay KEY DIRECTORY``: loads it, says so by a file in the directory, and saves
it as paid at the moment that another file there names.
"""

import contextlib
import io
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Permission  # noqa: E402
from django.core.management import CommandError, call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

from tests.factories import ORDER, make_binding, make_template, make_user, openid  # noqa: E402
from tests.school.models import Appointment, Order  # noqa: E402
from tests.waiting import wait_until  # noqa: E402
from tests.wechat_posts import event, post, receipt  # noqa: E402
from wechat_notify.models import (  # noqa: E402
    Alert,
    AlertMail,
    MessageTemplate,
    OpenIDBinding,
    Receipt,
    SendLog,
)
from wechat_notify.services import notify  # noqa: E402

if settings.CELERY_BROKER_URL:  # a site that has a broker imports its app, as Celery's guide says
    from tests.services import celery_app


def migrate() -> Any:
    call_command("migrate", verbosity=0)
    return "ok"


def the_template() -> MessageTemplate:
    return MessageTemplate.objects.first() or make_template()


def send(count: str, seconds: str = "0") -> Any:
    template = the_template()
    send_at = timezone.now() + timedelta(seconds=float(seconds)) if float(seconds) else None
    first = SendLog.objects.count()
    people = (openid(first + number) for number in range(int(count)))
    return notify(people, template, ORDER, send_at=send_at).pk


def counts() -> Any:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


def sent() -> Any:
    """The openid and the msgid of each row that WeChat has accepted."""
    accepted = SendLog.objects.filter(status=SendLog.Status.SENT)
    return list(accepted.values_list("openid", "msgid"))


def doubtful() -> Any:
    """How many of those that wait or are being sent may have left."""
    return SendLog.objects.filter(status__in=SendLog.OPEN, in_doubt_since__isnull=False).count()


def callbacks() -> Any:
    """The answers to a receipt, an unsubscribe and a subscribe event, each of them sent twice.

    And what became of them: the receipts stored, and whether each of two people follows.
    """
    from django.test import Client  # only here, as it brings a tenth of what starts with a process

    gone, back = openid(1), openid(2)
    make_binding(number=1)
    make_binding(number=2, subscribed=False)
    posts = [
        post(receipt(openid(3), 4711)),
        post(event(gone, "unsubscribe")),
        post(event(back, "subscribe")),
    ]
    client = Client(raise_request_exception=False)
    codes = [made.to(client).status_code for one in posts for made in (one, one.again())]
    follows = dict(OpenIDBinding.objects.order_by("pk").values_list("openid", "subscribed"))
    return {"codes": codes, "receipts": Receipt.objects.count(), "follows": follows}


def age(seconds: str) -> Any:
    ago = timedelta(seconds=float(seconds))
    held = SendLog.objects.filter(status=SendLog.Status.SENDING)
    return held.update(claimed_at=F("claimed_at") - ago, in_doubt_since=F("in_doubt_since") - ago)


def end_leases() -> Any:
    """What a killed process held is taken back. Its doubt is as old as it is.

    One that is killed fifty times in two minutes would otherwise seem to have been in doubt for
    hours, and be told as uncertain.
    """
    held = SendLog.objects.filter(status=SendLog.Status.SENDING)
    return held.update(claimed_at=F("claimed_at") - timedelta(minutes=2))


def early() -> Any:
    return SendLog.objects.filter(sent_at__lt=F("notification__send_at")).count()


def choose(name: str) -> Any:
    user = make_user(name, email=f"{name}@school.example")
    user.user_permissions.add(Permission.objects.get(codename="receive_alerts"))
    return "ok"


def ban() -> Any:
    make_template("banned", paused_at=timezone.now(), pause_errcode=43116)
    return "ok"


def late() -> Any:
    return SendLog.objects.waiting().update(due_at=timezone.now() - timedelta(hours=1))


def alerts() -> Any:
    return [[alert.kind, alert.is_open] for alert in Alert.objects.order_by("pk")]


def mails() -> Any:
    rows = AlertMail.objects.values_list("sent_at", "due_at")
    kinds = ["sent" if sent else "waits" if due else "given up" for sent, due in rows]
    return {kind: kinds.count(kind) for kind in kinds}


def doctor() -> Any:
    said = io.StringIO()
    with contextlib.suppress(CommandError, SystemExit):
        call_command("wechat_doctor", stdout=said)
    return said.getvalue()


def tell(count: str) -> Any:
    for number in range(int(count)):
        celery_app.tell.delay(number)
    return "ok"


def fork(children: str) -> Any:
    """Notify a person in each of some children, and one here before each; all end as scripts do.

    They are forked while this process sends. Returns how each of them has ended.
    """
    template = MessageTemplate.objects.get()
    ended = []
    for number in range(int(children)):
        notify(openid(2 * number), template, ORDER)
        connections.close_all()  # each process needs its own, as Django's documentation says
        child = os.fork()
        if not child:
            notify(openid(2 * number + 1), template, ORDER)
            sys.exit()
        ended.append(os.waitpid(child, 0)[1])
    return ended


def forget_tasks() -> Any:
    """Empty the task queue's own tables, which the test suite's flush does not know."""
    return apps.get_model("django_tasks_database", "DBTaskResult").objects.all().delete()[0]


def book(count: str) -> Any:
    the_template()
    starts_at = timezone.now() + timedelta(days=1, seconds=-1)
    person = make_user()
    rows = (Appointment(person=person, starts_at=starts_at) for _ in range(int(count)))
    return len(Appointment.objects.bulk_create(rows, batch_size=5_000))


def order() -> Any:
    the_template()
    return Order.objects.create(buyer=make_user()).pk


def pay(pk: str, where: str) -> Any:
    mine = Order.objects.get(pk=pk)
    (Path(where) / f"loaded-{os.getpid()}").touch()
    moment = Path(where) / "moment"
    wait_until(moment.exists)
    time.sleep(max(0.0, float(moment.read_text()) - time.time()))
    mine.status = "paid"
    mine.save()
    return mine.pk


COMMANDS = {
    "migrate": migrate,
    "notify": send,
    "counts": counts,
    "sent": sent,
    "doubtful": doubtful,
    "callbacks": callbacks,
    "doctor": doctor,
    "tell": tell,
    "fork": fork,
    "early": early,
    "age": age,
    "end_leases": end_leases,
    "book": book,
    "choose": choose,
    "ban": ban,
    "late": late,
    "alerts": alerts,
    "mails": mails,
    "order": order,
    "pay": pay,
    "forget_tasks": forget_tasks,
}

name, *arguments = sys.argv[1:]
sys.stdout.write(json.dumps(COMMANDS[name](*arguments)) + "\n")
