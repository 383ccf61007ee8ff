"""The people whom a notification did not reach: who, why, and what to do; also as a CSV file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...models import Notification, SendLog, SendLogQuerySet, pages_by_key
from ...reach import Reach, with_reach
from ...statistics import TROUBLE, Cause
from ..base import BaseAdmin, Button, page
from ..parts.badges import status_badge
from ..parts.csv_file import csv_response
from ..parts.explanations import cause_in_words, in_short, needs_invitation
from ..parts.frame import admin_page
from ..parts.links import object_url
from ..parts.paging import CappedPaginator
from ..parts.people import WHO, shown_name, shown_openid
from ..parts.remedies import to_invite, to_invite_all
from ..permissions import may_resend, may_see_openids, may_see_who_was_not_reached

ROWS = 100
CHUNK = 2_000
NOW_BOUND = (Reach.BOUND, Reach.BOUND_SINCE)
"""Of an openid that belongs to nobody here, nothing newer is known."""

TITLE = gettext_lazy("People not reached")
RESENT = gettext_lazy("It was resent.")
REACHABLE = gettext_lazy("This person can be reached by now: resend it.")


@dataclass(frozen=True, slots=True)
class Missed:
    """One message that did not arrive. ``can_be_reached``: its person can be by now."""

    log: SendLog
    can_be_reached: bool
    was_resent: bool

    @property
    def why(self) -> str:
        return in_short(self.log)

    @property
    def lacks_binding(self) -> bool:
        """Whether it did not arrive because its person had not bound WeChat, or did not follow."""
        return needs_invitation(self.log.errcode, self.log.errmsg)

    @property
    def next_step(self) -> str:
        """What to do about it, in words; "" where nothing is known."""
        if self.was_resent:
            return str(RESENT)
        if self.lacks_binding and self.can_be_reached:
            return str(REACHABLE)
        status = SendLog.Status(self.log.status)
        words = self.log.receipt_status if status is SendLog.Status.UNDELIVERED else self.log.errmsg
        return cause_in_words(Cause(status, self.log.errcode or None, words, 1))[1]


def missed(logs: Iterable[SendLog]) -> list[Missed]:
    """What the list says of these messages, which are ``who_was_not_reached()``. One query."""
    rows: list[Any] = list(logs)
    resent = set(
        SendLog.objects.filter(resend_of__in=[row.pk for row in rows])
        .order_by()
        .values_list("resend_of", flat=True)
    )
    return [Missed(row, row.reach in NOW_BOUND, row.pk in resent) for row in rows]


def who_was_not_reached(notification: Notification) -> SendLogQuerySet:
    """The messages of a notification that did not arrive, in the order of sending, each with what
    ``resend()`` would make of its recipient now.
    """
    rows = SendLog.objects.filter(notification=notification, status__in=TROUBLE)
    return with_reach(rows).select_related("user", "notification__template").order_by("pk")


class NotReachedMixin(BaseAdmin):
    """Adds the list to a notification's page, for those who may see the send log and users."""

    @page("<path:object_id>/not-reached/", "not_reached")
    def _not_reached_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = self._notification(request, object_id)
        paginator = CappedPaginator(who_was_not_reached(notification), ROWS)
        shown = paginator.get_page(request.GET.get("page"))
        lines = [self._line(request, one) for one in missed(shown.object_list)]
        return admin_page(
            self,
            request,
            "not_reached.html",
            title=TITLE,
            notification=notification,
            notification_url=self.url("change", notification.pk),
            csv_url=self.url("not_reached_csv", notification.pk) if lines else "",
            ways=to_invite_all(self.admin_site, request, notification) if lines else [],
            who=WHO,
            lines=lines,
            shown=shown,
        )

    @page("<path:object_id>/not-reached.csv", "not_reached_csv")
    def _not_reached_csv_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        notification = self._notification(request, object_id)
        headings = (capfirst(str(WHO)), _("Status"), _("Why"), _("What to do"))
        file_name = f"not-reached-{notification.pk}.csv"
        return csv_response(file_name, headings, _rows(who_was_not_reached(notification)))

    def _notification(self, request: HttpRequest, object_id: str) -> Notification:
        allowed = may_see_who_was_not_reached(self.admin_site, request)
        found: Notification = self.find(request, object_id, allowed=allowed)
        return found

    def _line(self, request: HttpRequest, one: Missed) -> dict[str, Any]:
        """A row of the table."""
        log = one.log
        return {
            "who": self._who(request, log),
            "url": object_url(self.admin_site, log),
            "badge": status_badge(log.status),
            "why": one.why,
            "next_step": one.next_step,
            "ways": self._what_to_do(request, one),
        }

    def _who(self, request: HttpRequest, log: SendLog) -> str:
        """A name: the list is printed and passed on. An openid only where there is no user."""
        if log.user is None:
            return shown_openid(log.openid, whole=may_see_openids(request))
        return shown_name(log.user)

    def _what_to_do(self, request: HttpRequest, one: Missed) -> list[Button]:
        if one.was_resent or not one.lacks_binding:
            return []
        if not one.can_be_reached:
            users = [] if one.log.user_id is None else [one.log.user_id]
            return to_invite(self.admin_site, request, one.log.account, users)
        return resend_button(self.admin_site, request, one.log)


def resend_button(site: AdminSite, request: HttpRequest, log: SendLog) -> list[Button]:
    """The page that resends one message; nothing for those who may not."""
    if not (may_resend(request) and site.is_registered(SendLog)):
        return []
    name = "admin:wechat_notify_sendlog_resend"
    return [Button(_("Resend"), reverse(name, args=[log.pk], current_app=site.name))]


def _rows(logs: SendLogQuerySet) -> Iterator[list[str]]:
    for page_of_logs in pages_by_key(logs, CHUNK):
        for one in missed(page_of_logs):
            name = "" if one.log.user is None else shown_name(one.log.user)
            yield [name, one.log.get_status_display(), one.why, one.next_step]
