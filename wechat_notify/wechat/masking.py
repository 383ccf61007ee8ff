"""What may be shown of an openid, and how secrets are taken out of other libraries' texts."""

import logging
import re

from .text import CONTROL

_SHOWN = 3
# An openid in a text, as every sample has it: an "o" and 27 more characters.
_OPENID = re.compile(r"\bo[\w-]{27}\b")
_SECRET = re.compile(r"\b((?:access_token|refresh_token|secret|appsecret)=)[^&\s\"']+")


def mask_openid(openid: str) -> str:
    """``oABC…xyz`` for an openid; "…" for one too short to hide anything."""
    if len(openid) < 4 * _SHOWN:
        return "…"
    return f"{openid[: _SHOWN + 1]}…{openid[-_SHOWN:]}"


def redact(text: str) -> str:
    """``text`` with the values of access_token= and secret= (as in a URL) taken out."""
    return _SECRET.sub(r"\1…", text)


def presentable(text: str) -> str:
    """Another program's ``text`` on one line, without secrets, and with openids masked."""
    line = CONTROL.sub(" ", redact(text))
    return _OPENID.sub(lambda found: mask_openid(found[0]), line)


class RedactingFilter(logging.Filter):
    """Takes tokens and secrets out of the URLs in another library's log lines.

    WeChat wants the token in the query string, and urllib3 logs every URL at level DEBUG.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                redact(value) if isinstance(value, str) else value for value in record.args
            )
        return True
