"""The present state of an account: whether it rests, its quota, and a request that was refused.

For the admin's pages. ``diagnosis`` examines an account in full.
"""

from dataclasses import asdict, dataclass
from typing import Any

from django.core.cache import caches
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from .backends.registry import get_backend
from .conf import settings
from .exceptions import ConfigurationError, WeChatNotifyError
from .models import SendLog
from .sending.breaker import Breaker, Rest
from .sending.way_out import Closure, closures
from .types import Quota
from .wechat.shared_cache import cache_key

__all__ = [
    "Closure",
    "Quota",
    "QuotaToday",
    "Rest",
    "closed_ways",
    "note_blocked",
    "quota_today",
    "recorded_request",
    "rest_of",
]

BLOCKED = "blocked by review"
"""A receipt's place is taken by these words where WeChat's review has blocked the message."""

KEPT_SECONDS = 60
"""So long the quota is not asked for again, however often somebody opens a page that shows it."""


def rest_of(account: str) -> Rest | None:
    """Why and until when the account rests; None if it does not."""
    return Breaker(account).rest()


def closed_ways(account: str) -> list[Closure]:
    """The hosts from which nothing gets through to WeChat at present, each with its last answer."""
    by_host = {one.host: one for one in closures(account) if one.is_worth_telling}
    return list(by_host.values())


@dataclass(frozen=True, slots=True)
class QuotaToday:
    """What is left of today's quota. If that is not known: None, and ``trouble`` says why."""

    quota: Quota | None = None
    trouble: str = ""


def quota_today(account: str) -> QuotaToday:
    """Asks WeChat at most once a minute. Does not raise ``WeChatNotifyError``: see ``trouble``."""
    numbers = cache_key("quota_today", settings.account(account).app_id, account)
    words = f"{numbers}:{get_language()}"
    cache = caches[settings.CACHE]
    kept = cache.get_many([numbers, words])
    if numbers in kept:
        return QuotaToday(Quota(**kept[numbers]))
    if words in kept:
        return QuotaToday(trouble=kept[words])
    found = _ask_quota(account)
    if found.quota is not None:
        cache.set(numbers, asdict(found.quota), KEPT_SECONDS)
    else:
        cache.set(words, found.trouble, KEPT_SECONDS)
    return found


def _ask_quota(account: str) -> QuotaToday:
    try:
        backend = get_backend(account)
        if not backend.supports_diagnosis:
            return QuotaToday(trouble=_("This account's backend knows no quota."))
        return QuotaToday(backend.get_quota())
    except (WeChatNotifyError, ConfigurationError) as error:
        return QuotaToday(trouble=str(error))


def recorded_request(account: str, rid: str) -> dict[str, Any]:
    """What WeChat recorded of one request that it refused (docs/wechat-api.md, 0).

    Raises ``WeChatError`` or ``TransportError`` if WeChat does not answer with it, and
    ``ConfigurationError`` if the account's backend cannot ask.
    """
    return get_backend(account).get_request(rid)


def note_blocked(log: SendLog) -> bool:
    """Ask WeChat whether its review has blocked this message, and if so mark it as not delivered.

    For a message that WeChat took without a msgid. Raises ``WeChatError``, ``TransportError`` or
    ``ConfigurationError`` with nothing changed.
    """
    left = log.revision or log.notification.template
    if log.openid not in get_backend(log.account).get_blocked_openids(left.template_id):
        return False
    this = SendLog.objects.filter(pk=log.pk, status=SendLog.Status.SENT)
    return bool(this.update(status=SendLog.Status.UNDELIVERED, receipt_status=BLOCKED))
