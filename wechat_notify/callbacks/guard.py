"""A repeated callback does nothing twice, and one signature is good for one message.

WeChat sends what is not answered in five seconds again, three times in all (docs/wechat-api.md, 5).
Whether a repeat keeps its timestamp and nonce is not documented, so a message is recognised by what
it says. The marks stand in the cache. Nothing that must not be lost depends on them: where the
cache fails or has forgotten, a callback counts as new.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.cache import caches

from ..conf import settings
from ..exceptions import CallbackRefused
from ..wechat.callback_request import WINDOW, Credentials
from ..wechat.incoming import Message
from ..wechat.shared_cache import cache_key

logger = logging.getLogger(__name__)

# As long as a signature is good, for clocks that are ahead too.
SIGNATURE_SECONDS = 2 * int(WINDOW.total_seconds())
# Repeats come within seconds.
MESSAGE_SECONDS = 3_600


def claim_signature(account: str, credentials: Credentials, content: bytes) -> None:
    """Tie a signature to the content that it came with.

    Raises ``CallbackRefused`` where it came with another before: in plain mode a signature does
    not cover the body, and who overhears one could send a message of their own under it. The key
    is the signature itself, because several timestamps and nonces can have the same one.
    """
    digest = hashlib.sha256(content).hexdigest()
    before = _put(_key("signature", account, credentials.signature), digest, SIGNATURE_SECONDS)
    if before not in (None, digest):
        raise CallbackRefused("This signature came before, with another message.")


@contextmanager
def once(account: str, message: Message) -> Iterator[bool]:
    """True where this message is new, False where it has been handed on before.

    An exception inside removes the mark, so that WeChat's next try is new again.
    """
    mark = _key("message", account, *message.identity)
    is_new = _put(mark, True, MESSAGE_SECONDS) is None
    try:
        yield is_new
    except BaseException:
        _remove(mark)
        raise


def _put(key: str, value: Any, seconds: int) -> Any:
    """Put ``value`` there unless something is there already, which is then returned.

    None: it is new, or the cache does not work. A cache that swallows its errors adds nothing and
    has nothing.
    """
    cache = caches[settings.CACHE]
    try:
        return None if cache.add(key, value, seconds) else cache.get(key)
    except Exception:
        logger.warning("The cache does not work: a repeated callback counts as new.", exc_info=True)
        return None


def _remove(key: str) -> None:
    try:
        caches[settings.CACHE].delete(key)
    except Exception:
        logger.warning("The cache does not work.", exc_info=True)


def _key(kind: str, *parts: str) -> str:
    """Hashed, because an openid must not stand in a cache."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return cache_key("callback", kind, digest)
