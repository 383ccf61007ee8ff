"""Periodic duties: what the app does every so often beside sending, such as reminders.

    duties.register("reminders", run, every=timedelta(minutes=1))

Apps register theirs in ``AppConfig.ready()``. Whatever delivers (a worker, a thread of a served
site, a task) calls ``run_due()`` often and knows none of them by name.

One process at a time runs a duty: a lease in the shared cache says so. The lease also keeps the
other processes from running it again before ``every`` has passed. A cache of each process alone
holds no such lease, and a lease ends when a run takes very long. So a duty must bear being run by
two processes at once.

A process that serves requests and sends nothing, because others should, calls ``run_due()`` for
the duties that are registered for it alone (``where_served``): such as to notice that nobody sends.

Messages wait while a duty runs. One that has much to do does a little of it and returns True: there
is more. It is called again, here or in another process, as soon as what is due has been sent.
"""

import logging
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.core.cache import caches

from .conf import settings
from .wechat.forks import PerProcess
from .wechat.shared_cache import cache_key

logger = logging.getLogger(__name__)

LEASE_SECONDS = 300
"""How long a duty waits whose process was killed while it ran it."""
RETRY_SHARE = 4
"""A process that finds the lease taken looks again after this share of the period."""


@dataclass(slots=True)
class _Duty:
    """A registered duty. ``every``: seconds. ``is_failing``: its error has been logged."""

    name: str
    run: Callable[[], object]
    every: float
    where_served: bool
    is_failing: bool = False


_duties: dict[str, _Duty] = {}
# When each duty's time comes in this process, by the monotonic clock. A duty that runs is not in
# it, so that of two threads one takes it.
_moments: PerProcess[dict[str, float]] = PerProcess(lambda: dict.fromkeys(_duties, 0.0))


def register(
    name: str, run: Callable[[], object], every: timedelta, *, where_served: bool = False
) -> None:
    """Have ``run`` called every so often from now on. The same ``name`` replaces the earlier.

    If ``run`` returns True, it is called again without waiting. ``where_served``: also by processes
    that serve requests and send nothing.
    """
    _duties[name] = _Duty(name, run, every.total_seconds(), where_served)
    _moments.get()[name] = 0.0


def forget(name: str) -> None:
    """Call the duty of this name no more; for tests."""
    _duties.pop(name, None)
    _moments.get().pop(name, None)


def run_due(*, only_where_served: bool = False) -> None:
    """Run each duty whose time has come and that no other process runs. Never raises.

    An error of a duty is logged once, until it has succeeded again. ``only_where_served``: those
    alone that are for processes which send nothing.
    """
    moments = _moments.get()
    for name, moment in _these(moments, only_where_served):
        if moment > time.monotonic() or moments.pop(name, None) is None:
            continue
        duty = _duties[name]
        wait = duty.every
        try:
            wait = _run_alone(duty)
            duty.is_failing = False
        except Exception:
            if not duty.is_failing:
                logger.exception("The periodic duty %r failed. It is tried again.", name)
            duty.is_failing = True
        finally:
            moments.setdefault(name, time.monotonic() + wait)


def next_due(*, only_where_served: bool = False) -> float:
    """Seconds until the next duty's time comes; 0 if it has come, infinite if there is none."""
    moments = [moment for _name, moment in _these(_moments.get(), only_where_served)]
    return max(0.0, min(moments, default=math.inf) - time.monotonic())


def _these(moments: dict[str, float], only_where_served: bool) -> list[tuple[str, float]]:
    known = list(moments.items())
    if not only_where_served:
        return known
    return [(name, moment) for name, moment in known if _duties[name].where_served]


def _run_alone(duty: _Duty) -> float:
    """Run it if no other process has the lease. Returns the seconds until the next look."""
    cache, key, owner = caches[settings.CACHE], cache_key("duty", duty.name), uuid.uuid4().hex
    ends = time.monotonic() + duty.every
    if not cache.add(key, owner, LEASE_SECONDS + duty.every):
        return duty.every / RETRY_SHARE
    try:
        if duty.run() is True:
            ends = 0.0
    finally:
        left = max(0.0, ends - time.monotonic())
        if cache.get(key) == owner:
            # For the rest of the period nobody runs it again. 0 removes the entry.
            cache.set(key, owner, left)
    return left
