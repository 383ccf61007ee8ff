"""manage.py wechat_doctor: plain words, a next step, and an exit code that cron understands."""

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from tests.factories import APP_SECRET, ORDER, make_template, openid
from wechat_notify.delivery.breaker import Breaker
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify, pause

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., None]
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
    """A site where all is well, with workers that send."""
    configure(DISPATCHER="wechat_notify.delivery.dispatch.WorkerDispatcher")
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
    assert "gives an access token, and takes it" in said
    assert "Quota: 0 of 100000 used today." in said
    assert "1 active" in said
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
    assert "gives an access token" in said
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
    assert "shared, and keeps what it is given" in said
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


# -- messages ---------------------------------------------------------------------------------


def test_messages_that_nobody_sends_are_a_problem(well: MessageTemplate) -> None:
    """Due for minutes and not held up: no worker runs."""
    write()
    assert ask("--account=default")[1] == 0
    SendLog.objects.update(due_at=timezone.now() - timedelta(minutes=10))
    said, problems = ask("--account=default")
    assert problems == 1
    assert "3 due, the oldest for 10" in said
    assert "wechat_deliver --watch" in said


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


def test_the_worker_was_seen(well: MessageTemplate) -> None:
    """Whether wechat_deliver is at work, and when it last was."""
    assert "not seen within a week" in ask("--account=default")[0]
    call_command("wechat_deliver", verbosity=0)
    assert "is at work" in ask("--account=default")[0]
    caches["default"].set(
        "wechat_notify:worker:default", (timezone.now() - timedelta(hours=3)).isoformat()
    )
    assert "last seen 3" in ask("--account=default")[0]


def test_verbosity_0_says_only_what_is_wrong(well: MessageTemplate) -> None:
    """-v 0, for cron: silence where all is well."""
    assert ask("--account=default", verbosity=0) == ("", 0)
    MessageTemplate.objects.update(paused_at=timezone.now())
    said, problems = ask("--account=default", verbosity=0)
    assert said.count("PROBLEM") == problems == 1
