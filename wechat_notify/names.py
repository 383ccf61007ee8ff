"""What users and accounts are called: one rule for every page, list, file and command.

``WECHAT_NOTIFY["USER_NAME"]`` replaces it for a site whose users are called otherwise.
"""

import re
from typing import Any

from django.utils.text import capfirst

from .conf import settings

_HAN = "[\u3400-\u4dbf\u4e00-\u9fff]"
_UUID = re.compile("[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
# What Django's Model.__str__ says where a model has none of its own: "Member object (7)".
_OBJECT = re.compile(r"\w+ object \(.*\)")

_DJANGOS_OWN = "django.contrib.auth"


def name_of(user: Any) -> str:
    """What to call a user: what ``USER_NAME`` says, else the full name, else the login name or
    e-mail, else ``str(user)``; "User 7" where none of these can be read. Never empty.
    """
    own = settings.USER_NAME
    named = str(own(user) or "") if own is not None else ""
    return named or full_name(user) or login_of(user) or _readable(_text(user)) or _numbered(user)


def account_name(alias: str) -> str:
    """What to call the account of this alias: its NAME, or the alias where it has none any more."""
    return settings.account(alias).name if alias in settings.aliases else alias


def full_name(user: Any) -> str:
    """王小明, Ada Lovelace; what a site's own ``get_full_name()`` says; "" where nothing is known.

    Django's ``AbstractUser.get_full_name`` puts the first name first in every language.
    """
    own = getattr(user, "get_full_name", None)  # AbstractBaseUser has none
    if own is not None and not own.__module__.startswith(_DJANGOS_OWN):
        return _readable(own())
    # A site's own user model may lack either, or have NULL there.
    first, last = (getattr(user, name, None) or "" for name in ("first_name", "last_name"))
    if re.search(_HAN, first + last):
        return last + first
    return " ".join(part for part in (first, last) if part)


def login_of(user: Any) -> str:
    """The name that a user signs in with, or else the e-mail; "" where neither can be read."""
    fields = (getattr(user, "USERNAME_FIELD", "username"), _email_field(user))
    values = (_readable(getattr(user, name, None)) for name in fields)
    return next(filter(None, values), "")


def _email_field(user: Any) -> str:
    get = getattr(user, "get_email_field_name", None)  # a class method of AbstractBaseUser
    return str(get()) if get is not None else "email"


def _readable(value: Any) -> str:
    """The value as text; "" for what says nothing to a reader: None, a UUID, "User object (1)"."""
    text = "" if value is None else str(value).strip()
    says_nothing = set(text.split()) <= {"None"}
    return "" if says_nothing or _UUID.fullmatch(text) or _OBJECT.fullmatch(text) else text


def _text(user: Any) -> str:
    try:
        return str(user)
    except TypeError:  # AbstractBaseUser returns the login name, which may be NULL
        return ""


def _numbered(user: Any) -> str:
    meta = getattr(user, "_meta", None)
    kind = str(meta.verbose_name) if meta is not None else type(user).__name__
    return f"{capfirst(kind)} {getattr(user, 'pk', '')}".strip()
