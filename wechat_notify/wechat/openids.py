"""What openids and unionids look like."""

import re

OPENID_LENGTH = 64

# Openids have 28 characters in every sample seen; a shorter text is shown as it is.
SHORTEST_OPENID = 20

# The platform publishes no format; letters, digits, "_" and "-" are what every sample has.
_OPENID = re.compile(rf"[A-Za-z0-9_-]{{1,{OPENID_LENGTH}}}")


def is_openid(value: object) -> bool:
    """Whether this can be an openid, by its characters and length."""
    return isinstance(value, str) and _OPENID.fullmatch(value) is not None


def as_unionid(told: object) -> str:
    """``told`` if it can be a unionid, else "".

    A unionid looks like an openid. What WeChat, a backend or another package's table tells instead
    keeps nobody from being bound.
    """
    return told if isinstance(told, str) and is_openid(told) else ""
