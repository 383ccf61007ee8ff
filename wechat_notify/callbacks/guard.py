"""Nothing that comes twice to the callback address is done twice.

WeChat sends what is not answered in five seconds again, three times in all (WECHAT.md 5). Whether
a repeat keeps its timestamp and nonce is not documented, so both ways do no harm: the same message
is recognised by what it says, and one signature is good for one message.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import caches

from ..conf import settings
from ..exceptions import CallbackRefused
from ..wechat.callbacks import WINDOW, Credentials, Opened
from ..wechat.incoming import Message

# As long as a signature is good, for clocks that are ahead too.
SIGNATURE_SECONDS = 2 * int(WINDOW.total_seconds())
# Repeats come within seconds. Whatever comes later is recognised by the rows it has written.
MESSAGE_SECONDS = 3_600


def claim_signature(account: str, credentials: Credentials, content: bytes) -> bool:
    """True where this signature is new, False where it has come with the same content before.

    Raises ``CallbackRefused`` where it came with another: in plain mode it does not cover the
    body, and whoever overhears one could put it over a message of their own.
    """
    cache = caches[settings.CACHE]
    key = _signature_key(account, credentials)
    digest = hashlib.sha256(content).hexdigest()
    if cache.add(key, digest, SIGNATURE_SECONDS):
        return True
    before = cache.get(key)
    if before not in (None, digest):
        raise CallbackRefused("This signature came before, with another message.")
    return before is None


@contextmanager
def once(
    account: str, credentials: Credentials, opened: Opened, message: Message
) -> Iterator[bool]:
    """True where this message is new, False where it has been dealt with.

    Whoever fails inside leaves no mark, so that WeChat's next try is new again. Raises
    ``CallbackRefused`` as ``claim_signature`` does.

    No more marks than are needed, for in a storm of receipts they push other things out of a
    small cache: a signature covers an encrypted message, and a receipt is one row for ever.
    """
    marks = []
    is_new = True
    if not opened.encrypted:
        is_new = claim_signature(account, credentials, opened.xml)
        marks.append(_signature_key(account, credentials))
    if is_new and not message.is_receipt:
        mark = _key("message", account, *message.identity)
        is_new = caches[settings.CACHE].add(mark, True, MESSAGE_SECONDS)
        marks.append(mark)
    try:
        yield is_new
    except BaseException:
        caches[settings.CACHE].delete_many(marks)
        raise


def _signature_key(account: str, credentials: Credentials) -> str:
    return _key("signature", account, credentials.timestamp, credentials.nonce)


def _key(kind: str, *parts: str) -> str:
    """Hashed: a nonce can hold anything, and an openid must not stand in a cache."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return f"wechat_notify:callback:{kind}:{digest}"
