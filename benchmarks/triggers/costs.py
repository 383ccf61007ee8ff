"""The measurements of ``__main__``."""

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.core.management import call_command
from django.utils import timezone

from .models import PlainOrder, WatchedOrder

SAVES, LOADS, TURN, ROUNDS = 10_000, 100_000, 50, 3
MOST = 5.0
"""The aim: per cent."""


def measure() -> None:
    call_command("migrate", run_syncdb=True, verbosity=0)
    both = (PlainOrder, WatchedOrder)
    for model in both:
        _fill(model)
    _tell("save", compare([_saves(model) for model in both], SAVES // TURN * ROUNDS))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _tell("load", compare([_loads(model) for model in both], LOADS // TURN * ROUNDS))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"memory that the loads have added: {(after - before) / 1024:.1f} MB")


def _fill(model: Any) -> None:
    model.objects.bulk_create(
        model(
            number=f"SN{number:020d}",
            buyer="李小明",
            phone="13800000000",
            address="北京市海淀区中关村大街一号",
            total="39.80",
            created_at=timezone.now(),
        )
        for number in range(TURN)
    )


def _saves(model: Any) -> Callable[[], None]:
    orders = list(model.objects.all())

    def save() -> None:
        for order in orders:
            order.save()

    return save


def _loads(model: Any) -> Callable[[], None]:
    def load() -> None:
        for _order in model.objects.all().iterator():
            pass

    return load


def compare(turns: Sequence[Callable[[], None]], times: int) -> list[float]:
    """The CPU microseconds of one object in each, the best of so many alternate turns."""
    best = [float("inf")] * len(turns)
    for _ in range(times):
        for number, turn in enumerate(turns):
            begun = time.process_time()
            turn()
            best[number] = min(best[number], time.process_time() - begun)
    return [seconds / TURN * 1e6 for seconds in best]


def _tell(what: str, found: list[float]) -> None:
    plain, watched = found
    share = (watched / plain - 1) * 100
    met = "met    " if share < MOST else "NOT MET"
    print(f"{met} {what}: {plain:.2f} µs, with triggers {watched:.2f} µs, {share:+.1f} %")
