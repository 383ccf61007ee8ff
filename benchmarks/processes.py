"""Running tasks in child processes, one after the other or at the same moment."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .tasks import Sample, Task

SETTINGS = "benchmarks.settings"


class ChildError(RuntimeError):
    """A child process ended without its sample."""


def environment(database: str, ca_bundle: Path | None, api_base: str = "") -> dict[str, str]:
    """The environment of a child; its Django settings are read from here."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": SETTINGS, "DATABASE_URL": database}
    env |= {"PYTHONWARNINGS": "ignore", "BENCHMARK_API_BASE": api_base}
    if ca_bundle is not None:
        env["REQUESTS_CA_BUNDLE"] = str(ca_bundle)
    return env


def run(tasks: Sequence[Task], ca_bundle: Path | None = None) -> list[Sample]:
    """All tasks at the same moment, each in its own process, made ready one after the other."""
    children: list[subprocess.Popen[str]] = []
    try:
        for task in tasks:
            children.append(_started(task, ca_bundle))
        for child in children:
            _tell(child)
        return [_sample(child) for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()


def run_one(task: Task, ca_bundle: Path | None = None) -> Sample:
    return run([task], ca_bundle)[0]


def _started(task: Task, ca_bundle: Path | None) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", task.dumps()],
        env=environment(task.database, ca_bundle, task.api_base),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if _line(child).strip() != "ready":
        child.kill()
        raise ChildError(f"{task.kind} did not get ready: see its error above.")
    return child


def _tell(child: "subprocess.Popen[str]") -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def _line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout is not None
    return child.stdout.readline()


def _sample(child: "subprocess.Popen[str]") -> Sample:
    line = _line(child)
    if not line:
        raise ChildError("A measurement ended early: see its error above.")
    return Sample(**json.loads(line))
