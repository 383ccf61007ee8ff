"""A project as a process of its own, behind a real server; the test speaks to it by commands.

``prepare``: migrates, registers the template; ``check``: the ids of what the system checks say;
``paths``; ``sign_in NAME``: a person, signed in: the session's key and the person's;
``happen PK``: saves what the project tells that person of; ``send``: notify() for everybody;
``deliver``; ``state``.
"""

from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.checks import run_checks  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import transaction  # noqa: E402
from django.db.models import CharField  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import NoReverseMatch, reverse  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

from tests import site_server  # noqa: E402
from tests.factories import ORDER, make_template  # noqa: E402
from wechat_notify.models import OpenIDBinding, SendLog  # noqa: E402
from wechat_notify.services import notify  # noqa: E402


def prepare() -> Any:
    for alias in settings.DATABASES:
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
    return make_template().pk


def check() -> Any:
    return sorted({message.id for message in run_checks()})


def paths() -> Any:
    found = {
        name: reverse(f"wechat_notify:{name}", args=["default"])
        for name in ("bind", "bind_qr", "unbind")
    }
    try:
        found["admin"] = reverse("admin:index")
    except NoReverseMatch:
        found["admin"] = ""
    return found


def sign_in(name: str) -> Any:
    model = get_user_model()
    named = isinstance(model._meta.get_field("username"), CharField)
    fields = {"username": name} if named else {}
    staff = {"is_staff": True, "is_superuser": True} if name == "boss" else {}
    user = model.objects.create(email=f"{name}@example.com", **fields, **staff)
    client = Client()
    client.force_login(user)
    return {"session": client.cookies[settings.SESSION_COOKIE_NAME].value, "pk": str(user.pk)}


def happen(pk: str) -> Any:
    with transaction.atomic():
        return import_string(settings.HAPPENS)(pk).pk


def send() -> Any:
    return notify(get_user_model().objects.order_by("pk"), "order_paid", ORDER).logs.count()


def deliver() -> Any:
    call_command("wechat_deliver", verbosity=0)
    return state()


def state() -> Any:
    rows = OpenIDBinding.objects.order_by("openid").values_list("openid", "subscribed", "source")
    counts = {status: n for status, n in SendLog.objects.all().counts().items() if n}
    return {"bindings": list(rows), "counts": counts}


COMMANDS = {
    "prepare": prepare,
    "check": check,
    "paths": paths,
    "sign_in": sign_in,
    "happen": happen,
    "send": send,
    "deliver": deliver,
    "state": state,
}

if __name__ == "__main__":
    site_server.run(get_wsgi_application(), COMMANDS)
