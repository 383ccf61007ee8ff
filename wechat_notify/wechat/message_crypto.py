"""The platform's own envelope around AES, as callbacks and the replies to them use it.

AES-256-CBC with the key's first 16 bytes as IV, PKCS#7 padding to blocks of **32**, around 16
random bytes, the length of the message, the message and the app id (docs/wechat-api.md, 5).
"""

import base64
import re
import secrets
import struct

from ..exceptions import CallbackRefused, ConfigurationError

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
except ImportError:  # the extra "callbacks" is not installed
    Cipher = None  # type: ignore[assignment,misc]

AVAILABLE = Cipher is not None

EXTRA_NEEDED = 'Encrypted callbacks need: pip install "django-wechat-notify[callbacks]"'

_BLOCK = 32
_RANDOM = 16
_LENGTH = 4
_ENCODING_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")


def is_encoding_aes_key(text: str) -> bool:
    """Whether this has the shape of the console's EncodingAESKey: 43 letters and digits."""
    return _ENCODING_AES_KEY.fullmatch(text) is not None


class MessageCrypto:
    """Encrypts and decrypts for one app id under one EncodingAESKey. Its repr shows no key.

    Raises ``ConfigurationError`` where the key cannot be one, or ``cryptography`` is missing.
    """

    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        if not AVAILABLE:
            raise ConfigurationError(EXTRA_NEEDED)
        if not is_encoding_aes_key(encoding_aes_key):
            raise ConfigurationError("An EncodingAESKey has 43 letters and digits.")
        key = base64.b64decode(encoding_aes_key + "=")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:_RANDOM]))
        self._app_id = app_id.encode()

    def encrypt(self, message: bytes) -> str:
        """The text of an ``Encrypt`` element."""
        head = secrets.token_bytes(_RANDOM) + struct.pack(">I", len(message))
        encryptor = self._cipher.encryptor()
        padded = _pad(head + message + self._app_id)
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def decrypt(self, encrypted: str) -> bytes:
        """The message inside an ``Encrypt`` element. Raises ``CallbackRefused``.

        Call it only once the element's signature is verified: then nobody can learn anything
        from how it fails.
        """
        try:
            data = base64.b64decode(encrypted, validate=True)
            decryptor = self._cipher.decryptor()
            padded = decryptor.update(data) + decryptor.finalize()
        except ValueError as error:
            raise CallbackRefused("The encrypted message is not whole.") from error
        return self._unwrap(_unpad(padded))

    def _unwrap(self, plain: bytes) -> bytes:
        head = _RANDOM + _LENGTH
        if len(plain) < head:
            raise CallbackRefused("The decrypted message is too short.")
        (length,) = struct.unpack(">I", plain[_RANDOM:head])
        message, app_id = plain[head : head + length], plain[head + length :]
        if app_id != self._app_id:
            raise CallbackRefused("The decrypted message is for another app id.")
        return message


def _pad(data: bytes) -> bytes:
    count = _BLOCK - len(data) % _BLOCK
    return data + bytes([count]) * count


def _unpad(data: bytes) -> bytes:
    # By hand: a standard unpadder for 16-byte blocks refuses counts above 16.
    count = data[-1] if data else 0
    if not 1 <= count <= _BLOCK or data[-count:] != bytes([count]) * count:
        raise CallbackRefused("The decrypted message is not padded as it should be.")
    return data[:-count]
