"""The ways by which a message leaves, and the process that sends beside the one that notifies."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from .. import processes
from ..api import Api
from ..tasks import QUEUE

RABBITMQ, REDIS = "amqp://guest:guest@127.0.0.1:5672//", "redis://127.0.0.1:6379/10"
CELERY_WORKER = (
    *("celery", "-A", "benchmarks.waiting.celery_app", "worker", "--concurrency=1"),
    *("--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"),
)


@dataclass(frozen=True)
class Way:
    """``dispatcher``: a module of ``wechat_notify.dispatchers``; ``command``: what sends beside it.

    ``looks``: its sender looks for messages once a second, and is not woken.
    """

    label: str
    dispatcher: str
    command: tuple[str, ...] = ()
    broker: str = ""
    looks: bool = False


THREAD = Way("a bare thread", "worker")
BACKGROUND = Way("background", "background")
INLINE = Way("inline", "inline")


def ways(database: str) -> list[Way]:
    """Those that can be measured here, beside the bare thread and inline."""
    # Only PostgreSQL can wake a worker of ours, and nothing that of django-tasks-db.
    watch = ("django", "wechat_deliver", "--watch")
    found = [BACKGROUND, Way("worker", "worker", watch, looks=database == "SQLite")]
    found += [
        Way(f"Celery, {name}", "celery", CELERY_WORKER, broker)
        for name, broker in {"RabbitMQ": _at(RABBITMQ), "Redis": _at(REDIS)}.items()
        if answers(broker)
    ]
    if find_spec("django_tasks_db"):
        found.append(Way("django-tasks-db", "tasks", ("django", "db_worker"), looks=True))
    return found


def answers(broker: str) -> bool:
    """Whether Celery is installed and the broker answers."""
    if not find_spec("celery"):
        return False
    kombu = import_module("kombu")
    try:
        with kombu.Connection(broker, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1)
    except kombu.exceptions.OperationalError as error:
        print(f"A broker is left out, it does not answer: {str(error).splitlines()[0]}")
        return False
    return True


@contextmanager
def sender(api: Api, database: str, way: Way) -> Iterator[None]:
    """What sends for this way, if that is another process. It is killed at the end."""
    if not way.command:
        yield
        return
    with subprocess.Popen(
        [sys.executable, "-m", *way.command],
        env=processes.environment(database, None, api.plain, way.dispatcher, way.broker),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            forget_tasks(way.broker)


def forget_tasks(broker: str) -> None:
    """Leave nothing of the benchmark's own queue in the broker."""
    if broker:
        kombu = import_module("kombu")
        with kombu.Connection(broker) as connection:
            kombu.Queue(QUEUE, channel=connection.channel()).delete()


def _at(broker: str) -> str:
    """CELERY_BROKER_URL names another one of that kind."""
    named = os.environ.get("CELERY_BROKER_URL", "")
    return named if named.partition(":")[0] == broker.partition(":")[0] else broker
