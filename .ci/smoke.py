"""The installed wheel in a project of one file: imports, migrate, a fake WeChat, notify, sent.

``smoke.py TREE``, run outside the source tree TREE by the Python of a virtual environment that has
the wheel alone.
"""

import importlib
import pkgutil
import sys
import time
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

import wechat_notify
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.server import Sandbox

# Without the extra of the same name these have nothing to import from.
NEEDS_AN_EXTRA = {"wechat_notify.tasks", "wechat_notify.dispatchers.django_task"}


def in_the_tree() -> list[str]:
    """The files of the package in the source tree, but for what Python leaves there."""
    tree = Path(sys.argv[1])
    files = (path for path in (tree / "wechat_notify").rglob("*") if path.is_file())
    return [str(path.relative_to(tree)) for path in files if "__pycache__" not in path.parts]


def configure(wechat: Sandbox) -> None:
    account = {"APP_ID": wechat.app_id, "APP_SECRET": wechat.app_secret, "API_BASE": wechat.url}
    settings.configure(
        SECRET_KEY="smoke",
        USE_TZ=True,
        TIME_ZONE="Asia/Shanghai",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "smoke.sqlite3"}},
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "wechat_notify",
            "wechat_notify.rules",
        ],
        WECHAT_NOTIFY={"ACCOUNTS": {"default": account}},
    )
    django.setup()


def import_everything() -> int:
    modules = pkgutil.walk_packages(wechat_notify.__path__, "wechat_notify.")
    names = [module.name for module in modules if module.name not in NEEDS_AN_EXTRA]
    for name in names:
        importlib.import_module(name)
    return len(names)


def send_one(wechat: Sandbox) -> dict[str, int]:
    services = importlib.import_module("wechat_notify.services")
    models = importlib.import_module("wechat_notify.models")
    services.sync_templates("default")
    template = models.MessageTemplate.objects.get(template_id=samples.ORDER_TEMPLATE_ID)
    data = {
        "character_string1": "2026112301",
        "thing2": "围巾",
        "amount3": "39.80元",
        "time4": "2026年11月23日 15:01",
    }
    notification = services.notify(samples.users()[0].openid, template, data)
    # The default dispatcher's thread sends it.
    ends = time.monotonic() + 30
    while notification.logs.filter(status__in=models.SendLog.OPEN).exists():
        assert time.monotonic() < ends, notification.counts
        time.sleep(0.05)
    assert [message.openid for message in wechat.messages] == [samples.users()[0].openid]
    return {status: n for status, n in notification.counts.items() if n}


def main() -> None:
    home = Path(wechat_notify.__file__).parent
    assert Path(sys.prefix) in home.parents, f"not the installed wheel: {home}"
    files = in_the_tree()
    assert "wechat_notify/py.typed" in files, f"not the source tree: {sys.argv[1]}"
    lacking = [name for name in files if not (home.parent / name).exists()]
    assert not lacking, f"the wheel lacks {', '.join(lacking)}"
    with Sandbox() as wechat:
        configure(wechat)
        count = import_everything()
        call_command("migrate", verbosity=0)
        counts = send_one(wechat)
    assert counts == {"sent": 1}, counts
    print(f"wechat_notify {wechat_notify.__version__}: {count} modules, one message sent")


if __name__ == "__main__":
    main()
