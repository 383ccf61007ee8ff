"""manage.py wechat_doctor: plain words, a next step, and an exit code that cron understands."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from tests.databases import database_url
from tests.factories import APP_SECRET, ORDER, make_template, openid
from wechat_notify.backends.locmem import LocMemBackend
from wechat_notify.dispatchers.signs_of_life import BACKGROUND, SignOfLife
from wechat_notify.models import MessageTemplate, Receipt, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending.breaker import Breaker
from wechat_notify.sending.engine import deliver
from wechat_notify.sending.forks_record import record_no_threads
from wechat_notify.sending.way_out import WayOut
from wechat_notify.services import notify, pause, sync_templates
from wechat_notify.types import Outcome, SendResult

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., None]
SEND = "/cgi-bin/message/template/send"
TOKEN = "/cgi-bin/stable_token"
QUOTA = "/cgi-bin/openapi/quota/get"


def ask(*arguments: str, **options: Any) -> tuple[str, int]:
    """What it says, and how many problems it counts."""
    out = io.StringIO()
    try:
        call_command("wechat_doctor", *arguments, stdout=out, **options)
    except CommandError as error:
        return out.getvalue(), int(str(error).split()[0])
    return out.getvalue(), 0


@pytest.fixture
def well(known_template: MessageTemplate, configure: Configure) -> MessageTemplate:
    """A site where all is well, which sends in the background."""
    configure(DISPATCHER="wechat_notify.dispatchers.background.BackgroundDispatcher")
    return known_template


@pytest.fixture
def use_cache(settings: Any, configure: Configure) -> Callable[[str, str], None]:
    """Let the app use another of Django's caches."""

    def use(backend: str, location: str = "") -> None:
        path = f"django.core.cache.backends.{backend}"
        second = {"second": {"BACKEND": path, "LOCATION": location}}
        settings.CACHES = {**settings.CACHES, **second}
        configure(CACHE="second")

    return use


def write(count: int = 3, **options: Any) -> Any:
    return notify([openid(n) for n in range(count)], "order_paid", ORDER, **options)


# -- an account -------------------------------------------------------------------------------


def test_all_is_well(well: MessageTemplate, wechat: Sandbox) -> None:
    """Token, quota and templates in order: exit 0, no secret and no token in sight."""
    said, problems = ask("--account=default")
    assert problems == 0
    assert "answers, and takes the access token" in said
    assert "Quota: 0 of 100000 used today." in said
    assert "1 active, 1 never compared with WeChat" in said
    assert "none is due" in said
    assert APP_SECRET not in said
    token = caches["default"].get(f"wechat_notify:token:stable:{wechat.app_id}:value")
    assert token
    assert token not in said


def test_every_account_is_looked_at(well: MessageTemplate) -> None:
    """Without --account all of them, and a backend that sends nowhere is no problem."""
    make_template("elsewhere", account="other")
    said, problems = ask()
    assert "Account 'default'" in said
    assert "Account 'other'" in said
    assert "LocMemBackend does not talk to WeChat" in said
    assert problems == 0


def test_an_address_that_is_not_on_the_whitelist(well: MessageTemplate, wechat: Sandbox) -> None:
    """40164: the address to add is shown, with where to add it."""
    wechat.fail(40164, path=TOKEN, errmsg="invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9")
    said, problems = ask("--account=default")
    assert problems == 1
    assert "PROBLEM" in said
    assert "203.0.113.9" in said
    assert "whitelist" in said


def test_a_wrong_secret(well: MessageTemplate, wechat: Sandbox) -> None:
    """40001 at the token endpoint is a wrong secret, and it says so."""
    wechat.fail(40001, path=TOKEN)
    said, problems = ask("--account=default")
    assert problems == 1
    assert "secret" in said.lower()


def test_wechat_out_of_reach(well: MessageTemplate, wechat: Sandbox) -> None:
    """No network is a problem of this machine's."""
    wechat.stop()
    said, problems = ask("--account=default")
    assert problems == 1
    assert "cannot be reached" in said


def test_a_quota_that_cannot_be_asked_for(well: MessageTemplate, wechat: Sandbox) -> None:
    """An account that may not ask for its quota can still send: a note."""
    wechat.fail(48001, path=QUOTA)
    said, problems = ask("--account=default")
    assert problems == 0
    assert "answers, and takes the access token" in said
    assert "48001" in said


def test_settings_that_cannot_work(configure: Configure, db: None) -> None:
    """A missing APP_SECRET is named; nothing else is asked of that account."""
    configure(default={"BACKEND": "wechat_notify.backends.wechat.WeChatBackend", "APP_SECRET": ""})
    said, problems = ask("--account=default")
    assert problems == 1
    assert "APP_SECRET is missing" in said


def test_settings_that_work_with_a_warning(
    well: MessageTemplate, configure: Configure, use_cache: Callable[..., None]
) -> None:
    """A backend's warnings are shown as notes."""
    use_cache("locmem.LocMemCache")
    configure(default={"TOKEN_MODE": "classic"})
    said, _problems = ask("--account=default")
    assert "note" in said
    assert "invalidate" in said


@pytest.mark.parametrize("arguments", [["--account=nobody"], ["--clear=nobody"]])
def test_an_unknown_account_is_named(arguments: list[str], db: None) -> None:
    """A typo is an error that lists the accounts there are."""
    if arguments[0].startswith("--account"):
        said, problems = ask(*arguments)
        assert problems == 1
        assert "nobody" in said
    else:
        with pytest.raises(CommandError, match="nobody"):
            call_command("wechat_doctor", *arguments)


def test_no_account_at_all(configure: Configure, settings: Any, db: None) -> None:
    """Without ACCOUNTS there is nothing to look at, and that is a problem."""
    settings.WECHAT_NOTIFY = {"ACCOUNTS": {}}
    with pytest.raises(CommandError, match="empty"):
        call_command("wechat_doctor")


# -- the cache --------------------------------------------------------------------------------


def test_a_cache_that_is_not_shared(well: MessageTemplate, use_cache: Callable[..., None]) -> None:
    """Each process with its own memory: worth knowing, no problem in development."""
    use_cache("locmem.LocMemCache")
    said, problems = ask("--account=default")
    assert "each process has its own" in said
    assert problems == 0


def test_a_shared_cache(
    well: MessageTemplate, use_cache: Callable[..., None], tmp_path: Path
) -> None:
    """A cache outside the process that answers is as it should be."""
    use_cache("filebased.FileBasedCache", str(tmp_path))
    said, problems = ask("--account=default")
    assert "(FileBasedCache): keeps what it is given" in said
    assert problems == 0


def test_a_cache_that_forgets(well: MessageTemplate, use_cache: Callable[..., None]) -> None:
    """A cache that keeps nothing is a problem, and found by trying."""
    use_cache("dummy.DummyCache")
    said, problems = ask("--account=default")
    assert "does not keep what it is given" in said
    assert problems == 1


def test_a_cache_that_is_down(well: MessageTemplate, use_cache: Callable[..., None]) -> None:
    """It holds everything up, which is one problem; the rows are still counted."""
    pytest.importorskip("redis")
    write()
    SendLog.objects.update(due_at=timezone.now() - timedelta(minutes=10))
    use_cache("redis.RedisCache", "redis://127.0.0.1:9/0")
    said, problems = ask("--account=default")
    assert "does not answer: ConnectionError" in said
    assert "3 due" in said
    assert problems == 1


def test_a_database_that_is_down(wechat: Sandbox) -> None:
    """An error in words, no traceback."""

    def refuse(*args: Any) -> None:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse), pytest.raises(CommandError, match="does not answer"):
        call_command("wechat_doctor", stdout=io.StringIO())


# -- a rest -----------------------------------------------------------------------------------


def test_a_rest_that_ends_by_itself_is_a_note(well: MessageTemplate) -> None:
    """Quota used up: why, until when, and nothing for anybody to do."""
    Breaker("default").trip(45009, "reach max api daily quota limit")
    said, problems = ask("--account=default")
    assert problems == 0
    assert "Sending: at rest since" in said
    assert "until 20" in said
    assert "errcode 45009" in said


def test_a_rest_that_somebody_has_to_end_is_a_problem(well: MessageTemplate) -> None:
    """An account that may not send: what to do, and how to let it go on."""
    Breaker("default").trip(48001, "api unauthorized")
    said, problems = ask("--account=default")
    assert problems == 1
    assert "probed again at" in said
    assert "wechat_doctor --clear default" in said


def test_clear_ends_a_rest() -> None:
    """--clear lets the account send again and says what happens next."""
    Breaker("default").trip(48001, "api unauthorized")
    said, problems = ask("--clear=default")
    assert Breaker("default").rest() is None
    assert "may send again" in said
    assert problems == 0


# -- templates --------------------------------------------------------------------------------


def test_no_template_at_all(wechat: Sandbox) -> None:
    """Without an active template nothing can be sent; the command that helps is named."""
    said, problems = ask("--account=default")
    assert problems == 1
    assert "wechat_sync_templates --account default" in said


def test_paused_templates_are_problems(well: MessageTemplate) -> None:
    """Each one by name, with WeChat's reason where it had one."""
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    make_template("by_hand", paused_at=timezone.now())
    said, problems = ask("--account=default")
    assert problems == 2
    assert "Template order_paid: paused. " in said
    assert "errcode 43116" in said
    assert "Template by_hand: paused by hand." in said


def test_what_wechat_changed_is_noted(well: MessageTemplate) -> None:
    """Templates that vanished and templates that changed, the first few by name."""
    for number in range(7):
        make_template(f"gone{number}", is_active=False, missing_since=timezone.now())
    MessageTemplate.objects.filter(name="order_paid").update(content_changed_at=timezone.now())
    said, problems = ask("--account=default")
    assert problems == 0
    assert "gone0, gone1, gone2, gone3, gone4 and 2 more: no longer on WeChat" in said
    assert "Templates order_paid: changed on WeChat" in said


def test_templates_are_ok_once_wechat_has_shown_them(
    well: MessageTemplate, wechat: Sandbox
) -> None:
    """Registered by hand and never compared is a note; after a sync it is said when that was."""
    assert level(ask("--account=default")[0], "1 never compared with WeChat") == "note"
    sync_templates()
    assert level(ask("--account=default")[0], "active, compared with WeChat at 20") == "ok"


# -- messages ---------------------------------------------------------------------------------


def test_messages_that_nobody_sends_are_a_problem(well: MessageTemplate) -> None:
    """Due for minutes and not held up: no worker runs."""
    write()
    assert ask("--account=default")[1] == 0
    SendLog.objects.update(due_at=timezone.now() - timedelta(minutes=10))
    said, problems = ask("--account=default")
    assert problems == 1
    assert "3 due, the oldest for 10" in said
    assert "A process that serves requests sends them." in said


def test_messages_that_a_rest_holds_up_are_none(well: MessageTemplate) -> None:
    """While the account rests, waiting messages are as they should be."""
    write()
    SendLog.objects.update(due_at=timezone.now() - timedelta(minutes=10))
    Breaker("default").trip(45009, "")
    assert ask("--account=default")[1] == 0


def test_messages_in_every_other_plight_are_counted(well: MessageTemplate) -> None:
    """Due later, paused, left behind, uncertain: how many of each."""
    write(1, send_at=timezone.now() + timedelta(hours=1))
    pause(write(2))
    long_ago = timezone.now() - timedelta(minutes=5)
    write(3).logs.update(status=SendLog.Status.SENDING, claimed_at=long_ago)
    write(4).logs.update(status=SendLog.Status.UNCERTAIN)
    said, _problems = ask("--account=default")
    assert "1 due later" in said
    assert "2 paused" in said
    assert "3 left behind" in said
    assert "4 uncertain" in said


def level(said: str, text: str) -> str:
    """The mark of the one line that holds ``text``."""
    (line,) = [line for line in said.splitlines() if text in line]
    return line.split()[0]


def test_the_worker_was_seen(
    well: MessageTemplate,
    use_cache: Callable[..., None],
    configure: Configure,
    tmp_path: Path,
) -> None:
    """Where nothing leaves without wechat_deliver, it must have been seen lately."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    use_cache("filebased.FileBasedCache", str(tmp_path))
    said, problems = ask("--account=default")
    assert level(said, "wechat_deliver was not seen within a week") == "PROBLEM"
    assert problems == 1
    call_command("wechat_deliver", verbosity=0)
    assert level(ask("--account=default")[0], "wechat_deliver is at work") == "ok"
    long_ago = timezone.now() - timedelta(hours=3)
    caches["second"].set("wechat_notify:sign_of_life:worker:default", long_ago.isoformat())
    assert level(ask("--account=default")[0], "wechat_deliver was last seen 3") == "PROBLEM"


def test_who_sends_in_the_background_was_seen(
    well: MessageTemplate, use_cache: Callable[..., None], tmp_path: Path
) -> None:
    """A site that nobody has opened for a week may have had nothing to send: a note."""
    use_cache("filebased.FileBasedCache", str(tmp_path))
    said, problems = ask("--account=default")
    assert level(said, "none was at work within a week") == "note"
    assert problems == 0
    SignOfLife(BACKGROUND, ["default"]).give()
    assert level(ask("--account=default")[0], "Sender: last at work") == "ok"


def test_a_cache_of_each_process_hides_what_others_do(
    well: MessageTemplate, use_cache: Callable[..., None]
) -> None:
    """Rests and workers of other processes are not seen, and that is what is said."""
    use_cache("locmem.LocMemCache", "of-this-process")
    said, _problems = ask("--account=default")
    assert level(said, "Sending: not known") == "note"
    assert level(said, "Worker: not known") == "note"


def test_a_rest_that_would_be_seen(
    well: MessageTemplate, use_cache: Callable[..., None], tmp_path: Path
) -> None:
    """In a cache that all share, no rest means that the account sends."""
    use_cache("filebased.FileBasedCache", str(tmp_path))
    assert level(ask("--account=default")[0], "the account does not rest") == "ok"


def test_messages_left_behind_and_never_taken_are_a_problem(well: MessageTemplate) -> None:
    """A worker was stopped, and for minutes after its lease none has come to take over."""
    write(2).logs.update(
        status=SendLog.Status.SENDING, claimed_at=timezone.now() - timedelta(minutes=30)
    )
    said, problems = ask("--account=default")
    assert level(said, "2 left behind") == "PROBLEM"
    assert problems == 1


def test_messages_that_wait_for_long_are_never_ok(well: MessageTemplate) -> None:
    """What a rest holds up for hours is named as waiting."""
    write()
    SendLog.objects.update(due_at=timezone.now() - timedelta(hours=2))
    Breaker("default").trip(45009, "")
    assert level(ask("--account=default")[0], "3 due, the oldest for 2") == "note"


# -- receipts ---------------------------------------------------------------------------------


def test_without_a_callback_nothing_is_known_of_deliveries(well: MessageTemplate) -> None:
    """No CALLBACK_TOKEN, no receipts: a note that says so."""
    assert level(ask("--account=default")[0], "Callbacks: not set up") == "note"


def test_receipts_are_ok_where_some_have_come(well: MessageTemplate, configure: Configure) -> None:
    """A callback that is set up is no callback that works: only a receipt shows that."""
    configure(default={"CALLBACK_TOKEN": "a-token-of-the-account"})
    assert level(ask("--account=default")[0], "no receipt has come yet") == "note"
    receipt = Receipt.objects.create(
        account="default", openid=openid(1), msgid=1, status="success", event_at=timezone.now()
    )
    assert level(ask("--account=default")[0], "the last receipt came") == "ok"
    days_ago = timezone.now() - timedelta(days=3)
    Receipt.objects.filter(pk=receipt.pk).update(received_at=days_ago)
    assert level(ask("--account=default")[0], "the last receipt came 3") == "ok"
    write(1).logs.update(status=SendLog.Status.SENT, sent_at=timezone.now() - timedelta(hours=2))
    assert level(ask("--account=default")[0], "messages sent since have none") == "note"


# -- a host -----------------------------------------------------------------------------------


def test_a_host_that_is_not_whitelisted_is_named(well: MessageTemplate, wechat: Sandbox) -> None:
    """From which host nothing gets through since when, WeChat's words, and the address to add."""
    text = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist"
    wechat.fail(40164, times=None, path=SEND, errmsg=text)
    write(1)
    call_command("wechat_deliver", verbosity=0)
    said, problems = ask("--account=default")
    assert problems == 1
    host = socket.gethostname()
    assert level(said, f"WeChat refuses server {host} since 20") == "PROBLEM"
    assert text in said
    assert "Add 203.0.113.9 to the account's IP whitelist" in said
    ask("--clear=default")
    assert f"server {host}" not in ask("--account=default")[0]


def test_a_host_without_a_way_to_wechat_is_named(
    well: MessageTemplate, use_cache: Callable[..., None], tmp_path: Path
) -> None:
    """No connection for a moment is a note; for longer, somebody has to look at that host."""
    use_cache("filebased.FileBasedCache", str(tmp_path))
    way = WayOut("default")
    closed = SendResult(Outcome.NOT_SENT, errmsg="no connection: refused")
    way.failed([1], closed)
    assert "nothing gets through" not in ask("--account=default")[0]
    way.failed([2], closed)
    way.failed([3], closed)
    said, problems = ask("--account=default")
    assert level(said, "nothing gets through to WeChat since 20") == "note"
    assert "no connection: refused" in said
    assert problems == 0


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no clock of its own")
@pytest.mark.parametrize(
    ("ahead", "mark", "said"),
    [
        ("0", "ok", "the same time as the database's"),
        ("900", "note", "is 900 s ahead of the database's"),
        ("-900", "note", "is 900 s behind the database's"),
    ],
)
def test_a_clock_that_is_wrong_is_named(
    well: MessageTemplate, wechat: Sandbox, tmp_path: Path, ahead: str, mark: str, said: str
) -> None:
    """By how much this host's clock differs from the database's, either way."""
    done = subprocess.run(
        [sys.executable, "-m", "django", "wechat_doctor", "--no-color"],
        cwd=Path(__file__).parent.parent,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.services.settings",
            "DATABASE_URL": database_url(tmp_path),
            "SANDBOX_URL": wechat.url,
            "SANDBOX_APP_ID": wechat.app_id,
            "CLOCK_AHEAD": ahead,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert level(done.stdout, said) == mark, done.stderr


class Skewed(LocMemBackend):
    """A platform whose clock is a quarter of an hour ahead."""

    def clock_skew(self) -> float | None:
        return 900.0


def test_a_clock_that_differs_from_wechats_is_named(
    well: MessageTemplate, configure: Configure
) -> None:
    """Callbacks are refused by it, and nothing else says so."""
    configure(default={"BACKEND": f"{__name__}.Skewed"})
    said, _problems = ask("--account=default")
    assert level(said, "Clock: this host's is 900 s behind WeChat's.") == "note"


def test_servers_that_fork_without_hooks_are_named(
    well: MessageTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process finds it out about itself when it sends; the doctor is another process."""
    monkeypatch.setattr("os.getpid", lambda: 1)
    write(1)
    deliver()
    monkeypatch.undo()
    said, _problems = ask("--account=default")
    assert f"Server {socket.gethostname()}: processes are forked without" in said
    assert "py-call-osafterfork" in said


def test_servers_that_cannot_run_threads_are_named(well: MessageTemplate) -> None:
    """Such a process finds it out when it sends in a request."""
    record_no_threads()
    said, _problems = ask("--account=default")
    assert f"Server {socket.gethostname()}: processes cannot run threads" in said
    assert "enable-threads" in said


def test_a_refusal_of_the_question_itself(well: MessageTemplate, wechat: Sandbox) -> None:
    """40164 from another call than that for a token: this machine cannot send either."""
    wechat.fail(40164, path=QUOTA, errmsg="invalid ip 203.0.113.9, not in whitelist")
    said, problems = ask("--account=default")
    assert problems == 1
    assert level(said, "WeChat refuses this machine") == "PROBLEM"
    assert "Add 203.0.113.9" in said
    assert "takes the access token" not in said


def test_verbosity_0_says_only_what_is_wrong(well: MessageTemplate) -> None:
    """-v 0, for cron: silence where all is well."""
    assert ask("--account=default", verbosity=0) == ("", 0)
    MessageTemplate.objects.update(paused_at=timezone.now())
    said, problems = ask("--account=default", verbosity=0)
    assert said.count("PROBLEM") == problems == 1
