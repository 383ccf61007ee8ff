"""What processes find out about their server, written down where ``wechat_doctor`` finds it.

System checks do not run inside uWSGI, and the doctor is another process, so what a process finds
out about itself is written to the cache.
"""

import socket

from django.core.cache import caches

from ..conf import settings
from ..wechat.forks import PerProcess, missed_hooks
from ..wechat.shared_cache import cache_key

KEPT_SECONDS = 7 * 24 * 3600

_MISSED_HOOKS, _NO_THREADS = "missed_hooks", "no_threads"

# What this process has recorded already.
recorded: PerProcess[set[str]] = PerProcess(set)


def record_missed_hooks() -> None:
    """Write down, once a process, that this host forks without at-fork hooks."""
    if missed_hooks():
        _record(_MISSED_HOOKS)


def hosts_that_miss_hooks() -> set[str]:
    """The hosts that were recorded within a week."""
    return _hosts(_MISSED_HOOKS)


def record_no_threads() -> None:
    """Write down, once a process, that processes of this host cannot run threads of their own."""
    _record(_NO_THREADS)


def hosts_without_threads() -> set[str]:
    """The hosts that were recorded within a week."""
    return _hosts(_NO_THREADS)


def _record(what: str) -> None:
    here = recorded.get()
    if what not in here:
        here.add(what)
        hosts = _hosts(what) | {socket.gethostname()}
        caches[settings.CACHE].set(cache_key(what), sorted(hosts), KEPT_SECONDS)


def _hosts(what: str) -> set[str]:
    found = caches[settings.CACHE].get(cache_key(what))
    return set(found) if isinstance(found, list) else set()
