"""Signs of life in the cache: who sent for an account lately, and when."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.core.cache import caches
from django.utils import timezone

from ..conf import settings
from ..wechat.shared_cache import cache_key

WORKER, TASK, BACKGROUND = "worker", "task", "background"
"""``wechat_deliver``, a task of a task queue, the thread of a process that serves requests."""

EVERY_SECONDS = 15.0
SILENT_AFTER = timedelta(minutes=2)
"""A worker that was not seen for so long has ended."""
KEPT_SECONDS = 7 * 24 * 3600


class SignOfLife:
    """Gives one for each of some accounts, at most every 15 seconds."""

    def __init__(self, kind: str, aliases: Iterable[str]) -> None:
        self._keys = [_key(kind, alias) for alias in aliases]
        self._given_at = -EVERY_SECONDS

    def give(self) -> None:
        """Note in the cache that this sender is at work, unless that was noted just now."""
        if time.monotonic() - self._given_at < EVERY_SECONDS:
            return
        self._given_at = time.monotonic()
        # As text: a cache may be configured to store JSON only.
        now = timezone.now().isoformat()
        caches[settings.CACHE].set_many(dict.fromkeys(self._keys, now), KEPT_SECONDS)


def last_seen(alias: str, *kinds: str) -> datetime | None:
    """When one of these kinds of senders was last at work; None: not within a week."""
    found = caches[settings.CACHE].get_many([_key(kind, alias) for kind in kinds or (WORKER,)])
    texts = [text for text in found.values() if isinstance(text, str)]
    return max(map(datetime.fromisoformat, texts), default=None)


def seen_lately(alias: str, *kinds: str) -> bool:
    """Whether one of these kinds of senders was at work within the last two minutes."""
    seen = last_seen(alias, *kinds)
    return seen is not None and timezone.now() - seen <= SILENT_AFTER


def _key(kind: str, alias: str) -> str:
    return cache_key("sign_of_life", kind, alias)
