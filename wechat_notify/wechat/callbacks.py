"""The lock on the one door that strangers can knock on: who says it, and is it untouched?

The console knows three modes (WECHAT.md 5). *Plain*: the signature covers the token, the time and
a nonce, not the body. *Compatible*: the same, with an encrypted copy beside the plain fields.
*Safe*: encrypted only, and ``msg_signature`` covers what is encrypted.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..exceptions import CallbackRefused
from . import incoming
from .message_crypto import MessageCrypto

# A request says when it was signed. One that was overheard must not be good for ever, and hosts
# without exact clocks must not lose their receipts.
WINDOW = timedelta(minutes=5)


def sign(token: str, *parts: str) -> str:
    """sha1 over the token and the parts, sorted and joined, in hexadecimal."""
    joined = "".join(sorted((token, *parts)))
    return hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the query string of a callback brings."""

    timestamp: str
    nonce: str
    signature: str = field(repr=False)
    msg_signature: str = field(repr=False)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Credentials":
        """From the query's parameters; a missing one is empty."""
        names = ("timestamp", "nonce", "signature", "msg_signature")
        return cls(*(str(query.get(name, "")) for name in names))


@dataclass(frozen=True, slots=True)
class Opened:
    """A body behind the lock: the XML, and whether it came encrypted."""

    xml: bytes = field(repr=False)
    encrypted: bool


class CallbackLock:
    """Opens what WeChat posts to one account, and seals the replies.

    With an EncodingAESKey only encrypted messages are taken: in compatible mode the plain fields
    beside them could be anybody's, so they are not looked at. Whoever wants plain mode leaves the
    key out. The previous key is tried when the current one does not fit.

    Everything that does not fit raises ``CallbackRefused``.
    """

    def __init__(
        self,
        *,
        token: str,
        app_id: str,
        encoding_aes_key: str = "",
        previous_encoding_aes_key: str = "",
    ) -> None:
        self._token = token
        keys = (encoding_aes_key, previous_encoding_aes_key) if encoding_aes_key else ()
        self._ciphers = [MessageCrypto(key, app_id) for key in keys if key]

    def verify(self, credentials: Credentials, *, now: datetime) -> None:
        """Is it signed with our token, and just now? Any GET and POST must pass."""
        expected = sign(self._token, credentials.timestamp, credentials.nonce)
        _compare(expected, credentials.signature)
        text = credentials.timestamp
        signed = int(text) if text.isascii() and text.isdigit() else 0
        if abs(now.timestamp() - signed) > WINDOW.total_seconds():
            raise CallbackRefused(
                "It was signed more than five minutes ago or ahead: replayed, or a clock is wrong."
            )

    def open(self, credentials: Credentials, body: bytes, *, now: datetime) -> Opened:
        """Verify, and decrypt where it is encrypted."""
        self.verify(credentials, now=now)
        if not self._ciphers:
            return Opened(body, encrypted=False)
        encrypted = incoming.read_fields(body).get("Encrypt")
        if not isinstance(encrypted, str) or not encrypted:
            raise CallbackRefused(
                "The message is not encrypted, though ENCODING_AES_KEY is set: choose the "
                "compatible or the safe mode in the console, or leave the key out."
            )
        expected = sign(self._token, credentials.timestamp, credentials.nonce, encrypted)
        _compare(expected, credentials.msg_signature)
        return Opened(self._decrypt(encrypted), encrypted=True)

    def _decrypt(self, encrypted: str) -> bytes:
        *earlier, last = self._ciphers
        for cipher in earlier:
            try:
                return cipher.decrypt(encrypted)
            except CallbackRefused:
                continue
        return last.decrypt(encrypted)

    def seal(self, reply: bytes, *, timestamp: str, nonce: str) -> str:
        """A reply to an encrypted message, in the envelope that WeChat expects."""
        encrypted = self._ciphers[0].encrypt(reply)
        signature = sign(self._token, timestamp, nonce, encrypted)
        return (
            f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt>"
            f"<MsgSignature><![CDATA[{signature}]]></MsgSignature>"
            f"<TimeStamp>{timestamp}</TimeStamp>"
            f"<Nonce><![CDATA[{nonce}]]></Nonce></xml>"
        )


def _compare(expected: str, given: str) -> None:
    """In constant time, so that nobody can feel their way to a signature."""
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise CallbackRefused("The signature is wrong.")
