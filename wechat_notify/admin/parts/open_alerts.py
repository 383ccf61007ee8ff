"""The alerts that are open, for the admin's first page."""

from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from ...alerts.wording import in_words, since
from ...models import Alert
from ..permissions import may_see_alerts, narrowed
from .links import list_url, object_url

INDEX_TEMPLATE = "wechat_notify/admin/index.html"
"""The index of a site that names none itself: it extends the one that the site or its theme has."""
MOST = 3


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """One open alert in the words of this reader, and its page."""

    what: str
    since: str
    explanation: str
    url: str


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """The newest open alerts, and how many more there are. ``url``: the list of all that are."""

    shown: list[OpenAlert]
    more: int
    url: str


def open_alerts(site: AdminSite, request: HttpRequest) -> OpenAlerts | None:
    """For those who may see alerts; None: there is none, or not for this person. One query."""
    if not may_see_alerts(request):
        return None
    rows = narrowed(site, request, Alert.objects.still_open())
    found = list(rows.select_related("template__stand_in").order_by("-pk"))
    if not found:
        return None
    shown = []
    for alert in found[:MOST]:
        words, url = in_words(alert), object_url(site, alert)
        shown.append(OpenAlert(words.what, since(alert), words.explanation, url))
    return OpenAlerts(shown, len(found) - len(shown), list_url(site, Alert, state="open"))
