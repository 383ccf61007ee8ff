"""Task queues with their real workers: shared out, tried again, and no loss with the broker."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.services.conftest import SHORT, Site

pytestmark = pytest.mark.services
CELERY = "wechat_notify.dispatchers.celery.CeleryDispatcher"
TASKS = "wechat_notify.dispatchers.tasks.TasksDispatcher"
NOBODY = "amqp://guest:guest@127.0.0.1:9//"


def start_celery(site: Site, **environment: str) -> Any:
    return site.start(
        *("celery", "-A", "tests.services.celery_app", "worker", "--loglevel=INFO"),
        f"--hostname={uuid.uuid4().hex[:8]}@%h",
        *("--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        **environment,
    )


def test_celery_workers_send(celery_site: Site) -> None:
    """A notification of several chunks goes out through Celery, each message once."""
    start_celery(celery_site)
    celery_site.ask("notify", 4_500)
    celery_site.wait_until_received(4_500)
    celery_site.wait_until_counted({"sent": 4_500})
    assert set(celery_site.wechat.counts.values()) == {1}


def test_celery_tries_again_and_keeps_to_the_time(celery_site: Site) -> None:
    """Busy answers are tried again, and send_at is kept, with no wechat_deliver and no beat."""
    celery_site.wechat.fail(-1, times=5)
    start_celery(celery_site)
    celery_site.ask("notify", 20)
    celery_site.ask("notify", 20, 4)
    celery_site.wait_until_received(40)
    celery_site.wait_until_counted({"sent": 40})
    assert celery_site.ask("early") == 0


def test_a_killed_celery_worker_loses_nothing(celery_site: Site) -> None:
    """kill -9 of a worker's children in mid-task: the task comes back and takes up their rows."""
    celery_site.wechat.latency = 0.05
    worker = start_celery(celery_site, **SHORT)
    celery_site.ask("notify", 1_000)
    celery_site.wait_until_received(50)
    celery_site.kill_children(worker)
    celery_site.wait_until_received(1_000)
    celery_site.wait_until_counted({"sent": 1_000})
    assert set(celery_site.wechat.counts.values()) == {1}


def test_a_broker_that_is_down_loses_nothing(make_site: Callable[..., Site]) -> None:
    """notify() returns although the broker refuses, and the rows wait for wechat_deliver."""
    site = make_site(CELERY_BROKER_URL=NOBODY, DISPATCHER=CELERY)
    site.ask("notify", 10)
    assert site.ask("counts") == {"pending": 10}
    assert site.ended(site.manage("wechat_deliver")) == 0
    assert site.ask("counts") == {"sent": 10}


@pytest.fixture
def tasks_site(make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site whose notifications go to Django's Tasks framework, kept in its database."""
    pytest.importorskip("django_tasks_db")
    site = make_site(DISPATCHER=TASKS)
    site.ask("migrate")
    yield site
    site.close()
    site.ask("forget_tasks")


def test_django_tasks_workers_send(tasks_site: Site) -> None:
    """Two db_worker processes share a notification, try again what failed, keep to send_at."""
    tasks_site.wechat.fail(-1, times=5)
    for _ in range(2):
        tasks_site.manage("db_worker", "--interval=0.2", "--verbosity=2")
    tasks_site.ask("notify", 4_500)
    tasks_site.ask("notify", 20, 2)
    tasks_site.wait_until_received(4_520)
    tasks_site.wait_until_counted({"sent": 4_520})
    assert tasks_site.ask("early") == 0
    assert set(tasks_site.wechat.counts.values()) == {1}
