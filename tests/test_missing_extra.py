"""A site without the extra "callbacks": everything but callbacks works."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.wechat_posts import AES_KEY

ROOT = Path(__file__).parent.parent

# The libraries cannot be imported in this process, as where the extra is not installed.
SITE = """
import sys
missing, token, key = sys.argv[1:]
sys.modules[missing] = None
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "wechat_notify"],
    USE_TZ=True,
    TIME_ZONE="Asia/Shanghai",
    WECHAT_NOTIFY={"ACCOUNTS": {"default": {
        "BACKEND": "wechat_notify.backends.locmem.LocMemBackend",
        "CALLBACK_TOKEN": token, "ENCODING_AES_KEY": key}}},
)
django.setup()
"""
CHECK = """
from django.core.checks import run_checks
print([message.id for message in run_checks(tags=["wechat_notify"])])
"""
USE = """
from wechat_notify.exceptions import ConfigurationError
from wechat_notify.wechat.incoming import parse
from wechat_notify.wechat.message_crypto import MessageCrypto
for read in (lambda: parse(b"<xml></xml>"), lambda: MessageCrypto(key, "wx1")):
    try:
        read()
    except ConfigurationError as error:
        print(error)
    except Exception:
        pass
"""


def run(code: str, missing: str, *, token: str = "", key: str = "") -> str:
    """What a process prints in which ``missing`` cannot be imported."""
    command = [sys.executable, "-c", SITE + code, missing, token, key]
    done = subprocess.run(command, check=True, cwd=ROOT, timeout=99, text=True, capture_output=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("missing", "token", "key", "found"),
    [
        ("defusedxml", "t", "", "['wechat_notify.E030']"),
        ("cryptography", "t", AES_KEY, "['wechat_notify.E030']"),
        ("cryptography", "t", "", "[]"),
        ("defusedxml", "", "", "[]"),
    ],
)
def test_a_missing_extra_is_found_by_check(missing: str, token: str, key: str, found: str) -> None:
    """Before the first callback, and only where the missing library is needed."""
    assert run(CHECK, missing, token=token, key=key) == found


@pytest.mark.parametrize("missing", ["defusedxml", "cryptography"])
def test_without_the_extra_it_is_said_what_to_install(missing: str) -> None:
    """What needs the library raises ``ConfigurationError`` with the command to run."""
    said = run(USE, missing, key=AES_KEY)
    assert 'pip install "django-wechat-notify[callbacks]"' in said
    assert len(said.splitlines()) == 1
