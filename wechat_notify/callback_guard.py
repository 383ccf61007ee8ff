"""Nothing that comes twice to the callback address is done twice.

WeChat sends what is not answered in five seconds again, three times in all (WECHAT.md 5). Whether
a repeat keeps its timestamp and nonce is not documented, so both ways do no harm: the same message
is recognised by what it says, and one signature is good for one message.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import caches

from .conf import settings
from .exceptions import CallbackRefused
from .wechat.callbacks import WINDOW, Credentials
from .wechat.incoming import Message

# As long as a signature is good, for clocks that are ahead too.
SIGNATURE_SECONDS = 2 * int(WINDOW.total_seconds())
# Repeats come within seconds. Whatever comes later is recognised by the rows it has written.
MESSAGE_SECONDS = 3_600


@contextmanager
def once(account: str, credentials: Credentials, xml: bytes, message: Message) -> Iterator[bool]:
    """True where this message is new, False where it has been dealt with.

    Whoever fails inside leaves no mark, so that WeChat's next try is new again. Raises
    ``CallbackRefused`` where the signature came before with another message: in plain mode it
    does not cover the body.
    """
    cache = caches[settings.CACHE]
    digest = hashlib.sha256(xml).hexdigest()
    signature = _key("nonce", account, credentials.timestamp, credentials.nonce)
    if cache.add(signature, digest, SIGNATURE_SECONDS) is False:
        if cache.get(signature, digest) != digest:
            raise CallbackRefused("This signature came before, with another message.")
        yield False
        return
    content = _key("message", account, *message.identity)
    if not cache.add(content, True, MESSAGE_SECONDS):
        yield False
        return
    try:
        yield True
    except BaseException:
        cache.delete_many([signature, content])
        raise


def _key(kind: str, *parts: str) -> str:
    """Hashed: a nonce can hold anything, and an openid must not stand in a cache."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return f"wechat_notify:callback:{kind}:{digest}"
