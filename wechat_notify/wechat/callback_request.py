"""Verifies that a callback really comes from WeChat, and reads what it says.

The console knows three modes (docs/wechat-api.md, 5). *Plain*: the signature covers the token, the
time and a nonce, not the body. *Compatible*: the same, with an encrypted copy beside the plain
fields. *Safe*: encrypted only, and ``msg_signature`` covers what is encrypted.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..exceptions import CallbackRefused
from . import incoming
from .message_crypto import MessageCrypto

# How far the time of signing may be from now. An overheard request must not be good for ever, and
# hosts whose clocks are not exact must not lose their receipts.
WINDOW = timedelta(minutes=5)
# Until the year 2286. One form only: what is signed has no separators, so a zero could be moved
# from the nonce to the timestamp without changing the signature.
_TIMESTAMP = re.compile(r"[1-9][0-9]{9}")


def sign(token: str, *parts: str) -> str:
    """sha1 over the token and the parts, sorted and joined, in hexadecimal."""
    joined = "".join(sorted((token, *parts)))
    return hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """The signatures of a callback, from its query string."""

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
    """A body that was verified: the XML, and whether it came encrypted."""

    xml: bytes = field(repr=False)
    encrypted: bool


class CallbackVerifier:
    """Verifies and decrypts what WeChat posts to one account, and encrypts the replies.

    With an EncodingAESKey only encrypted messages are taken. In compatible mode no signature covers
    the plain fields beside them, so these are ignored. For plain mode leave the key out. The
    previous key is tried when the current one does not fit.

    Raises ``CallbackRefused`` for what does not come from WeChat.
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
        """Refuse a GET or POST that is not signed with the account's Token, or not now."""
        expected = sign(self._token, credentials.timestamp, credentials.nonce)
        _compare(expected, credentials.signature)
        if not _is_present(credentials.timestamp, now):
            raise CallbackRefused(
                "It was signed more than five minutes ago or ahead: replayed, or a clock is wrong."
            )
        if _is_present(credentials.nonce, now):
            # The signature is the same where the two are swapped.
            raise CallbackRefused("The nonce could be a timestamp, so either could be the time.")

    def open(self, credentials: Credentials, body: bytes, *, now: datetime) -> Opened:
        """Verify a POST, and decrypt its body where it is encrypted."""
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


def _is_present(timestamp: str, now: datetime) -> bool:
    """Whether this is a time within the window around ``now``."""
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= WINDOW.total_seconds()


def _compare(expected: str, given: str) -> None:
    """Compare in constant time: the time must not tell how many characters are right."""
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise CallbackRefused("The signature is wrong.")
