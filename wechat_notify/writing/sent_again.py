"""Which earlier row each new row of a message sends again."""

from collections.abc import Callable
from typing import Any, TypeAlias

from ..models import SendLogQuerySet, pages_by_key
from .recipients import CHUNK, Target

Repeats: TypeAlias = Callable[[Target], int | None]
"""From a recipient to the key of the row that this message sends again; None: there is none."""


def repeats_of(rows: SendLogQuerySet) -> Repeats:
    """A function that finds the row of ``rows`` for the same openid, or else for the same user.

    It holds the keys of all rows in memory.
    """
    by_openid: dict[str, int] = {}
    by_user: dict[Any, int] = {}
    # select_related(None): only() and related objects exclude each other.
    for page in pages_by_key(rows.select_related(None).only("openid", "user_id"), CHUNK):
        for row in page:
            if row.openid:
                by_openid[row.openid] = row.pk
            if row.user_id is not None:
                by_user[row.user_id] = row.pk

    def find(target: Target) -> int | None:
        found = by_openid.get(target.openid) if target.openid else None
        if found is None and target.user is not None:
            found = by_user.get(target.user.pk)
        return found

    return find
