"""Who sends, and where it is said that nobody does."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.admin_pages import SEE, browser, page, text
from tests.compose_pages import CONTENT, composer, filled, person, review
from tests.factories import ORDER, make_bindings, make_template
from wechat_notify.checks import check_settings
from wechat_notify.dispatchers.signs_of_life import BACKGROUND, TASK, WORKER, SignOfLife
from wechat_notify.models import SendLog
from wechat_notify.senders import nobody_sends_later, overdue_since
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import notify, pause

pytestmark = pytest.mark.django_db

ROOM = "wechat_notify.dispatchers"
Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def shared_cache(settings: Any, configure: Configure, tmp_path: Path) -> None:
    """A cache in which other processes' signs of life would be seen, and a worker's duty."""
    path = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {**settings.CACHES, "shared": {"BACKEND": path, "LOCATION": str(tmp_path)}}
    configure(CACHE="shared", DISPATCHER=f"{ROOM}.worker.WorkerDispatcher")


def late(**fields: Any) -> Any:
    """A notification whose messages are due since half an hour."""
    notification = notify(make_bindings(2), make_template(), ORDER)
    SendLog.objects.update(due_at=timezone.now() - timedelta(minutes=30), **fields)
    return notification


def test_messages_are_overdue_while_nobody_sends() -> None:
    """Since the oldest is due; not while somebody is at work, whoever that is."""
    notification = late()
    since = overdue_since("default")
    assert since == overdue_since("default", notification)
    assert since is not None
    assert timezone.now() - since > timedelta(minutes=29)
    assert overdue_since("other") is None
    for kind in (WORKER, TASK, BACKGROUND):
        SignOfLife(kind, ["other"]).give()
        assert overdue_since("default") is not None
    SignOfLife(BACKGROUND, ["default"]).give()
    assert overdue_since("default") is None


def test_overdue_messages_are_told_of_by_the_accounts_name(configure: Configure) -> None:
    """The alias says nothing to whoever reads the dashboard."""
    configure(default={"NAME": "阳光实验学校"})
    late()
    shown = text(browser(*SEE).get(page("sendlog", "dashboard")))
    assert "Account 阳光实验学校: messages are overdue since" in shown


def test_what_is_held_or_done_is_not_overdue() -> None:
    """Paused rows wait for a person, and those just due for a moment."""
    notification = late()
    pause(notification)
    assert overdue_since("default") is None
    SendLog.objects.update(due_at=timezone.now() - timedelta(seconds=30))
    assert overdue_since("default") is None


def test_a_cache_of_each_process_accuses_nobody(settings: Any, configure: Configure) -> None:
    """A worker may run there, and its sign of life is in its own cache."""
    path = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {**settings.CACHES, "own": {"BACKEND": path, "LOCATION": "own"}}
    configure(CACHE="own", DISPATCHER=f"{ROOM}.worker.WorkerDispatcher")
    late()
    assert overdue_since("default") is None
    assert not nobody_sends_later("default")


@pytest.mark.parametrize(
    ("dispatcher", "advice"),
    [
        ("worker.WorkerDispatcher", "Start manage.py wechat_deliver --watch"),
        ("background.BackgroundDispatcher", "A process that serves requests sends them."),
    ],
)
def test_the_pages_say_so_and_what_to_do(
    configure: Configure, dispatcher: str, advice: str
) -> None:
    """The dashboard, the notification's page and the message's, until somebody is at work."""
    configure(CACHE="shared", DISPATCHER=f"{ROOM}.{dispatcher}")
    notification = late()
    client = browser(*SEE)
    pages = [
        page("sendlog", "dashboard"),
        page("notification", "change", notification.pk),
        page("sendlog", "change", SendLog.objects.earliest("pk").pk),
    ]
    for address in pages:
        shown = text(client.get(address))
        assert "no sender is running" in shown, address
        assert advice in shown, address
    SignOfLife(WORKER, ["default"]).give()
    for address in pages:
        assert "no sender is running" not in text(client.get(address)), address


def test_a_rest_is_the_reason_that_is_told() -> None:
    """Nobody need start a worker for an account that rests."""
    notification = late()
    Breaker("default").trip(45009, "quota")
    shown = text(browser(*SEE).get(page("notification", "change", notification.pk)))
    assert "rests until" in shown
    assert "no sender is running" not in shown


@pytest.mark.parametrize("dispatcher", ["worker.WorkerDispatcher", "inline.InlineDispatcher"])
def test_the_review_warns_whoever_schedules_what_nobody_would_send(
    configure: Configure, dispatcher: str
) -> None:
    """Before it is scheduled; not for a message that leaves now, nor where a worker runs."""
    configure(CACHE="shared", DISPATCHER=f"{ROOM}.{dispatcher}")
    template = make_template(content=CONTENT)
    alice, client = person("alice", 1), composer()
    later = filled(template, alice, when="later", send_at="2099-01-02T10:00")
    assert "Nobody would send it then" in text(review(client, later))
    assert "Nobody would send it then" not in text(review(client, filled(template, alice)))
    SignOfLife(WORKER, ["default"]).give()
    assert "Nobody would send it then" not in text(review(client, later))


def test_in_the_background_nothing_scheduled_stays(configure: Configure) -> None:
    """A served site keeps appointments by itself."""
    configure(CACHE="shared", DISPATCHER=f"{ROOM}.background.BackgroundDispatcher")
    assert not nobody_sends_later("default")


@pytest.mark.parametrize(
    ("backend", "found"),
    [
        ("immediate.ImmediateBackend", "wechat_notify.W060"),
        ("dummy.DummyBackend", "wechat_notify.W061"),
    ],
)
def test_task_backends_that_do_not_suit(
    settings: Any, configure: Configure, backend: str, found: str
) -> None:
    """W060: tasks run in the request. W061: they do not run at all."""
    package = "django.tasks"
    try:
        __import__(package)
    except ImportError:
        package = "django_tasks"
        pytest.importorskip(package)
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.{backend}"}}
    configure(DISPATCHER=f"{ROOM}.tasks.TasksDispatcher")
    assert [message.id for message in check_settings()] == [found]
