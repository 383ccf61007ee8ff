"""What people are called: a Chinese name begins with the family name and has no blank."""

import re
from typing import Any

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")

_DJANGOS_OWN = "django.contrib.auth"


def full_name(user: Any) -> str:
    """王小明, Ada Lovelace; what a site's own ``get_full_name()`` says; "" where nothing is known.

    Django's ``AbstractUser.get_full_name`` puts the first name first in every language.
    """
    own = getattr(user, "get_full_name", None)  # AbstractBaseUser has none
    if own is not None and not own.__module__.startswith(_DJANGOS_OWN):
        return str(own() or "")
    # A site's own user model may lack either, or have NULL there.
    first, last = (getattr(user, name, None) or "" for name in ("first_name", "last_name"))
    if _HAN.search(first + last):
        return last + first
    return " ".join(part for part in (first, last) if part)
