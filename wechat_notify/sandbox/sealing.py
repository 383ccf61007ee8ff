"""The callback modes with encryption, as the fake WeChat plays them (docs/wechat-api.md, 5).

Written apart from the app's own side of it on purpose: what both got wrong together no test could
find. Needs the package ``cryptography``, but only where a mode with encryption is played.
"""

import base64
import hashlib
import os
import re
from importlib import import_module
from typing import Any

PLAIN = "plain"
COMPATIBLE = "compatible"
SAFE = "safe"
MODES = (PLAIN, COMPATIBLE, SAFE)

_PADDED_TO = 32


def seal(message: bytes, encoding_aes_key: str, app_id: str) -> str:
    """The message as the content of an ``Encrypt`` element."""
    body = os.urandom(16) + len(message).to_bytes(4, "big") + message + app_id.encode("ascii")
    missing = _PADDED_TO - len(body) % _PADDED_TO
    sealed = _aes(encoding_aes_key).encryptor()
    return base64.b64encode(sealed.update(body + bytes([missing]) * missing)).decode("ascii")


def unseal(sealed: str, encoding_aes_key: str, app_id: str) -> bytes:
    """The message in an ``Encrypt`` element. ValueError where it is not for this app id."""
    body: bytes = _aes(encoding_aes_key).decryptor().update(base64.b64decode(sealed))
    body = body[16 : -body[-1]]
    end = 4 + int.from_bytes(body[:4], "big")
    if body[end:] != app_id.encode("ascii"):
        raise ValueError("Sealed for another app id.")
    return body[4:end]


def msg_signature(token: str, timestamp: str, nonce: str, sealed: str) -> str:
    """sha1 over the four, sorted and joined."""
    joined = "".join(sorted([token, timestamp, nonce, sealed]))
    return hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()


def envelope(xml: str, sealed: str, mode: str) -> str:
    """The body of the post, with the sealed message beside the plain one, or but for the receiver
    alone in safe mode.
    """
    encrypt = f"<Encrypt><![CDATA[{sealed}]]></Encrypt>"
    if mode == COMPATIBLE:
        return xml.replace("</xml>", f"{encrypt}\n</xml>")
    receiver = re.search(r"<ToUserName>.*?</ToUserName>", xml, re.DOTALL)
    return f"<xml>\n{receiver.group() if receiver else ''}\n{encrypt}\n</xml>"


def _aes(encoding_aes_key: str) -> Any:
    ciphers = import_module("cryptography.hazmat.primitives.ciphers")
    key = base64.b64decode(encoding_aes_key + "=")
    return ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CBC(key[:16]))
