"""The table of what did not arrive: one row for each cause, with a link to its messages, and one to
resend those for whom it is mended.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest

from ...mended import Mended
from ...models import SendLog
from ...statistics import Cause
from .badges import status_badge
from .explanations import cause_in_words
from .links import list_url


def cause_row(site: AdminSite, cause: Cause, **filters: Any) -> dict[str, Any]:
    """A row for ``causes.html``. Its link opens the send log, also narrowed by ``filters``. A page
    may add ``ways``, buttons to what can be done about it."""
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


def resending_of(cause: Cause, mended: Mended, resend_url: str) -> dict[str, Any]:
    """What ``causes.html`` says about resending: how many would get it now, where, and how many
    were resent before. ``resend_url``: the page that resends for all causes."""
    query = {"status": cause.status.value, "errcode": cause.errcode, "words": cause.words}
    named = urlencode({name: value for name, value in query.items() if value is not None})
    return {
        "now": mended.now(cause),
        "resent": mended.resent(cause),
        "resend_url": f"{resend_url}?{named}",
    }


def chosen_cause(request: HttpRequest, causes: Iterable[Cause]) -> Cause | None:
    """The cause that the address names, as ``resending_of`` does; None where it names none.

    Raises ``Http404`` where it is none of ``causes``.
    """
    if "status" not in request.GET:
        return None
    named = [request.GET.get(name, "") for name in ("status", "errcode", "words")]
    for cause in causes:
        errcode = "" if cause.errcode is None else str(cause.errcode)
        if [cause.status.value, errcode, cause.words] == named:
            return cause
    raise Http404
