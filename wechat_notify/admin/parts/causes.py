"""The table of what did not arrive: one row for each cause, with a link to its messages."""

from typing import Any

from django.contrib.admin import AdminSite

from ...models import SendLog
from ...statistics import Cause
from .badges import status_badge
from .explanations import cause_in_words
from .links import list_url


def cause_row(site: AdminSite, cause: Cause, **filters: Any) -> dict[str, Any]:
    """A row for ``causes.html``. Its link opens the send log, also narrowed by ``filters``."""
    why, next_step = cause_in_words(cause)
    filters["status__exact"] = str(cause.status)
    filters["error"] = "no" if cause.errcode is None else cause.errcode
    if cause.errcode is None or cause.status is SendLog.Status.UNDELIVERED:
        filters["reason"] = cause.words
    return {
        "badge": status_badge(cause.status),
        "why": why,
        "next_step": next_step,
        "errcode": cause.errcode,
        "count": cause.count,
        "url": list_url(site, SendLog, **filters),
    }
