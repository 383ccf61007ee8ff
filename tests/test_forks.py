"""A forked child uses no socket and no lock of its parent, whoever forked it, and however."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import PATIENCE
from wechat_notify.sandbox.records import Template
from wechat_notify.sandbox.server import Sandbox

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork.")

TEMPLATE = Template("T" * 43, "已付款", "")

# As uWSGI does it without py-call-osafterfork: the C function, past Python's at-fork hooks.
FORKS = {"with hooks": "os.fork()", "without hooks": "ctypes.PyDLL(None).fork()"}

PREPARE = """
import ctypes, logging, os, sys, threading
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
"""

SENDING = """
from django.conf import settings
settings.configure()
from django.core.cache.backends.locmem import LocMemCache
from wechat_notify.types import TemplateMessage
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.transport import Transport
url, app_id, app_secret, template_id = sys.argv[1:]
cache = LocMemCache("", {})
client = WeChatClient(Transport(url), app_id=app_id, app_secret=app_secret, cache=cache)
def send(name):
    for number in range(20):
        openid = f"o{name}{number}"
        result = client.send_template(TemplateMessage(openid, template_id, {}))
        os.write(1, f"{openid} {result.msgid}\\n".encode())
send("before")
child = FORK
send("parent" if child else "child")
if child:
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""

LOCKS = """
import django
from django.conf import settings
settings.configure(
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "wechat_notify"],
    WECHAT_NOTIFY={"ACCOUNTS": {"default": {
        "BACKEND": "wechat_notify.backends.locmem.LocMemBackend"}}},
    USE_TZ=True,
)
django.setup()
from django.core.cache import cache
from wechat_notify.backends.registry import get_backend
from wechat_notify.receipts.store import turns
from wechat_notify.wechat.tokens import TokenStore

fetching, forked = threading.Event(), threading.Event()

def fetch(force):
    if os.getpid() == parent:
        fetching.set()
        forked.wait()
    return "T", 7200

parent = os.getpid()
backend = get_backend("default")
tokens = TokenStore(cache, app_id="wx1", mode="stable", fetch=fetch)

def hold_locks():
    with turns.take("default"):
        tokens.get()

thread = threading.Thread(target=hold_locks)
thread.start()
fetching.wait()
child = FORK
if child:
    forked.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert get_backend("default") is backend
else:
    cache.clear()
    with turns.take("default"):
        assert tokens.get() == "T"
    assert get_backend("default") is not backend
sys.stdout.flush()
os._exit(0)
"""

BLOCK = """
import time
from wechat_notify.wechat.forks import NoFork
inside, leave, left = threading.Event(), threading.Event(), threading.Event()
hurry, seconds = HURRY, LIMIT

def work():
    with block:
        inside.set()
        leave.wait(60)
        left.set()

NoFork.WAIT_SECONDS = seconds
block = NoFork(hurry)
thread = threading.Thread(target=work, daemon=True)
thread.start()
inside.wait()
begun = time.monotonic()
child = FORK
if not child:
    os._exit(0)
print(left.is_set(), time.monotonic() - begun >= seconds)
assert os.waitpid(child, 0)[1] == 0
if left.is_set():
    with block:
        pass
sys.stdout.flush()
os._exit(0)
"""


def block(hurry: str, seconds: float) -> str:
    """The code above, of a process that is forked after so many seconds at the latest."""
    return BLOCK.replace("HURRY", hurry).replace("LIMIT", str(seconds))


def run(code: str, fork: str, *args: str) -> str:
    """What the two processes printed; both must end in time and well."""
    command = [sys.executable, "-c", PREPARE + code.replace("FORK", FORKS[fork]), *args]
    done = subprocess.run(
        command, check=True, cwd=ROOT, timeout=PATIENCE, text=True, stdout=subprocess.PIPE
    )
    return done.stdout


@pytest.fixture
def wechat() -> Iterator[Sandbox]:
    """A fake WeChat that answers after a moment, so that two senders get into each other's way."""
    with Sandbox(any_openid=True) as running:
        running.add_template(TEMPLATE)
        running.delay(0.01, path="/cgi-bin/message/template/send", times=None)
        yield running


def send_across(fork: str, wechat: Sandbox) -> str:
    address = wechat.url, wechat.app_id, wechat.app_secret
    return run(SENDING, fork, *address, TEMPLATE.template_id)


@pytest.mark.parametrize("fork", FORKS)
def test_forked_child_has_connections_of_its_own(fork: str, wechat: Sandbox) -> None:
    """Parent and child, both sending after a fork, each get the msgids of their own messages."""
    said = send_across(fork, wechat)
    arrived = {f"{message.openid} {message.msgid}" for message in wechat.messages}
    assert len(arrived) == 60
    assert {line for line in said.splitlines() if line.startswith("o")} == arrived
    assert wechat.connections == 2


@pytest.mark.parametrize("fork", FORKS)
def test_forked_child_waits_for_no_lock_of_its_parent(fork: str) -> None:
    """A lock that a thread of the parent held at the fork is never released in the child."""
    run(LOCKS, fork)


def test_a_fork_waits_for_a_thread_that_has_connections() -> None:
    """The thread is asked to leave its block, and it can enter it again afterwards."""
    assert run(block("leave.set", 60), "with hooks").split() == ["True", "False"]


def test_a_fork_does_not_wait_for_ever() -> None:
    """A thread that stays has the process forked when the time is over."""
    assert run(block("None", 1), "with hooks").split() == ["False", "True"]


def test_fork_without_hooks_is_told_once(wechat: Sandbox) -> None:
    """What the app cannot renew, other libraries' connections, the site is told to mend."""
    assert "WARNING" not in send_across("with hooks", wechat)
    said = send_across("without hooks", wechat)
    (line,) = (line for line in said.splitlines() if line.startswith("WARNING"))
    assert "was forked without Python's at-fork hooks" in line
    assert "py-call-osafterfork" in line
