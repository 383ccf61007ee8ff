"""What is left of today's quota, asked of WeChat at most once a minute."""

from django.core.cache import caches

from ...backends.registry import get_backend
from ...conf import settings
from ...delivery.breaker import Breaker
from ...exceptions import ConfigurationError, WeChatNotifyError
from ...wechat.client import Quota

REMEMBERED_SECONDS = 60


def quota_today(account: str) -> Quota | None:
    """None where the backend cannot tell, WeChat does not answer, or the account is at rest."""
    if Breaker(account).rest() is not None:
        return None
    cache = caches[settings.CACHE]
    key = f"wechat_notify:quota_today:{settings.account(account).app_id}"
    known = cache.get(key)
    if known is None:
        known = (_ask(account),)
        cache.set(key, known, REMEMBERED_SECONDS)
    found: Quota | None = known[0]
    return found


def _ask(account: str) -> Quota | None:
    try:
        backend = get_backend(account)
        return backend.get_quota() if backend.supports_diagnosis else None
    except (WeChatNotifyError, ConfigurationError):
        return None
