"""A site in a process of its own whose admin wears another theme, with a worker on call.

Its commands: ``everything`` begins anew, and answers with every page of the app's admin;
``deliver`` sends what is due, and says how many messages have which status.
"""

from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.cache import caches  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

from tests import admin_everything, factories, site_server  # noqa: E402
from wechat_notify.models import SendLog  # noqa: E402
from wechat_notify.sending import engine  # noqa: E402


def everything() -> Any:
    call_command("flush", interactive=False, verbosity=0)
    caches["default"].clear()
    get_user_model().objects.create_superuser("boss", password="letmein")
    return admin_everything.make(factories.make_template())


def deliver() -> Any:
    engine.deliver()
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


COMMANDS = {"everything": everything, "deliver": deliver}


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    site_server.run(StaticFilesHandler(get_wsgi_application()), COMMANDS)
