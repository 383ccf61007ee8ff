"""From a notification's page back to composing: to send it once more, changed or not."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite, display
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ...mended import Mended
from ...models import Notification, SendLog
from ...statistics import Cause
from ..base import BaseAdmin, Button
from ..parts.links import object_link
from ..permissions import can_compose_here, may_see_send_log
from .button import compose_url
from .earlier import Outcome, cause_detail, count_missed
from .narrowing import MISSED

DUPLICATE = _("Duplicate")
EDIT = _("Edit and send again")
EDIT_WAITING = _("Edit what has not left")

Status = SendLog.Status


def again_url(site: AdminSite, number: int, outcome: Outcome, detail: object = "") -> str:
    """Where composing begins with this notification, for those of its people with this outcome."""
    query: dict[str, Any] = {"earlier": number, "outcome": str(outcome)}
    if detail != "":
        query["outcome_of"] = detail
    return f"{compose_url(site)}?{urlencode(query)}"


def may_send_again(site: AdminSite, request: HttpRequest) -> bool:
    """Compose for those who did not get a message: who they are stands in the send log."""
    return can_compose_here(site, request) and may_see_send_log(request)


def missed_buttons(
    site: AdminSite, request: HttpRequest, number: int, counts: Mapping[str, int]
) -> list[Button]:
    """The button for all who surely did not get it, and to whom it was not sent again; none where
    there are none.
    """
    some = any(counts.get(status) for status in MISSED) and may_send_again(site, request)
    missed = count_missed(number) if some else 0
    if not missed:
        return []
    label = _("Edit and send again to the %d who did not get it") % missed
    return [Button(label, again_url(site, number, Outcome.MISSED))]


def cause_url(
    site: AdminSite, request: HttpRequest, number: int, cause: Cause, mended: Mended
) -> str:
    """Composing for the people of one cause; "" for who may not, and where it was sent to all of
    them again.
    """
    if not may_send_again(site, request) or mended.resent(cause) >= cause.count:
        return ""
    return again_url(site, number, Outcome.CAUSE, cause_detail(cause))


class AgainMixin(BaseAdmin):
    """On a notification's page: buttons that open it where messages are composed."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        own: list[Button] = []
        site = self.admin_site
        if can_compose_here(site, request):
            own.append(Button(DUPLICATE, again_url(site, obj.pk, Outcome.ALL)))
        waits = SendLog.objects.filter(notification=obj).not_left()
        if may_send_again(site, request) and waits.exists():
            own.append(Button(EDIT_WAITING, again_url(site, obj.pk, Outcome.WAITING)))
        return [*own, *super().object_buttons(request, obj)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets: Any = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        more = [name for name, found in _replacements(obj).items() if found]
        (name, first), *rest = fieldsets
        return [(name, {**first, "fields": (*first["fields"], *more)}), *rest]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "replaces_link", "replaced_by_link")

    @display(description=_("replaces"))
    def replaces_link(self, obj: Notification) -> SafeString:
        return self._linked(obj, "replaces_link")

    @display(description=_("replaced by"))
    def replaced_by_link(self, obj: Notification) -> SafeString:
        return self._linked(obj, "replaced_by_link")

    def _linked(self, obj: Notification, name: str) -> SafeString:
        found = _replacements(obj)[name]
        links = ((object_link(self.admin_site, one),) for one in found)
        return format_html_join(" · ", "{}", links)


def _replacements(notification: Notification) -> dict[str, list[Notification]]:
    """What it replaces, and what replaces it. Read once a page: Django asks several times."""
    kept: Any = notification
    if not hasattr(kept, "replacements"):
        replaced = notification.replaces
        kept.replacements = {
            "replaces_link": [replaced] if replaced is not None else [],
            "replaced_by_link": list(
                notification.replaced_by.select_related("template", "revision").order_by("pk")
            ),
        }
    found: dict[str, list[Notification]] = kept.replacements
    return found


class MessageAgainMixin(BaseAdmin):
    """On one message's page: a button that composes it anew, for its person."""

    def object_buttons(self, request: HttpRequest, obj: SendLog) -> list[Button]:
        own: list[Button] = []
        site = self.admin_site
        is_over = obj.status in (*MISSED, Status.UNCERTAIN)
        if is_over and may_send_again(site, request):
            url = again_url(site, obj.notification_id, Outcome.MESSAGE, obj.pk)
            own.append(Button(EDIT, url))
        return [*own, *super().object_buttons(request, obj)]
