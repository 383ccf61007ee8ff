"""Running tasks in child processes, one after the other or at the same moment."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from .tasks import Sample, Task

SETTINGS = "benchmarks.settings"


class ChildError(RuntimeError):
    """A child process ended without its sample; why, it has said on standard error."""


class Child:
    """A task in a process of its own; when made, it is ready and waits for ``go``."""

    def __init__(self, task: Task, ca_bundle: Path | None) -> None:
        self._kind = task.kind
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workloads", task.dumps()],
            env=environment(task.database, ca_bundle, task.api_base, task.dispatcher, task.broker),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers = iter(self._process.stdout or ())
        self._answer()

    def go(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def sample(self) -> Sample:
        return Sample(**json.loads(self._answer()))

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        line = next(self._answers, "")
        if not line:
            self.end()
            raise ChildError(f"The measurement of {self._kind} ended early.")
        return line


def environment(
    database: str,
    ca_bundle: Path | None,
    api_base: str = "",
    dispatcher: str = "worker",
    broker: str = "",
) -> dict[str, str]:
    """The environment of a child; its Django settings are read from here."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": SETTINGS, "DATABASE_URL": database}
    env |= {"PYTHONWARNINGS": "ignore", "BENCHMARK_API_BASE": api_base}
    env |= {"BENCHMARK_DISPATCHER": dispatcher, "CELERY_BROKER_URL": broker}
    if ca_bundle is not None:
        env["REQUESTS_CA_BUNDLE"] = str(ca_bundle)
    return env


def run(tasks: Sequence[Task], ca_bundle: Path | None = None) -> list[Sample]:
    """All tasks at the same moment, each in its own process, made ready one after the other."""
    with ExitStack() as stack:
        children = []
        for task in tasks:
            child = Child(task, ca_bundle)
            stack.callback(child.end)
            children.append(child)
        for child in children:
            child.go()
        return [child.sample() for child in children]


def run_one(task: Task, ca_bundle: Path | None = None) -> Sample:
    return run([task], ca_bundle)[0]
