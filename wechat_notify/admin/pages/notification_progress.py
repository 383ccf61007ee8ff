"""The progress panel on a notification's page: how far it is, what failed, what can be resent.

The panel is always rendered on the server. ``admin.js`` fetches it again after the number of
seconds that it names; without JavaScript a link loads the page again.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...mended import Mended
from ...models import Notification, SendLog
from ...notification_state import State, states_of
from ...statistics import Cause
from ..base import Button, page
from ..compose.again import cause_url, missed_buttons
from ..parts.badges import state_badge, status_badge, with_test_mark
from ..parts.causes import cause_row, chosen_cause, resending_of
from ..parts.charts import segments
from ..parts.explanations import holdups, needs_invitation
from ..parts.links import list_url
from ..parts.remedies import for_notification, to_invite_all, to_who_was_not_reached
from ..permissions import may_resend, may_see_send_log
from .resending import ResendMixin

Status = SendLog.Status

SOON, LATER = 2, 15
"""Seconds until the page asks again: while something happens, and while nothing does."""
RECEIPTS_COME_SOON = timedelta(minutes=2)
RECEIPTS_COME = timedelta(hours=1)

HELD = (State.AWAITS_APPROVAL, State.PAUSED, State.WAITS_FOR_TEMPLATE)
"""States that only a person ends."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How many messages were done at one moment: two of them give a rate."""

    done: int
    at: float

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Sample | None":
        """The earlier sample that the page sends back; None if it is missing or invalid."""
        try:
            found = cls(int(query["done"]), float(query["at"]))
        except (KeyError, ValueError):
            return None
        return found if math.isfinite(found.at) and 0 <= found.done < 2**53 else None


class Progress:
    """How far one notification is. ``before`` is an earlier sample, for the rate."""

    def __init__(self, notification: Notification, before: Sample | None = None) -> None:
        self.notification = notification
        self.counts = {status: n for status, n in notification.counts.items() if n}
        self.total = sum(self.counts.values())
        self.waiting = sum(self.counts.get(status, 0) for status in SendLog.OPEN)
        self.now = Sample(self.total - self.waiting, timezone.now().timestamp())
        self.before = before
        self.state = states_of([notification], {notification.pk: self.counts})[notification.pk]
        goes_on = self.waiting and self.state is not State.CANCELLED
        self.holdups = list(holdups(notification)) if goes_on else []

    @property
    def percent(self) -> int:
        """Whole percents done, and 100 only when all are."""
        return 100 * self.now.done // self.total if self.total else 100

    @property
    def rate(self) -> float:
        """Messages done per second since the earlier sample; 0.0 if that is not known."""
        if self.before is None or self.now.at - self.before.at < 1:
            return 0.0
        return max(0, self.now.done - self.before.done) / (self.now.at - self.before.at)

    @property
    def again(self) -> int | None:
        """Seconds after which the page should ask again; None: nothing more will happen."""
        if self.state is State.SCHEDULED and self.starts_at is not None:
            starts_in = (self.starts_at - timezone.now()).total_seconds()
            return max(SOON, min(LATER, math.ceil(starts_in)))
        if self.waiting:
            return LATER if self.state in HELD else SOON
        if not self.counts.get(Status.SENT):
            return None
        # Most receipts come within seconds of the last message.
        asked_for = self.notification.send_at or self.notification.created_at
        since = timezone.now() - asked_for
        if self.rate or since < RECEIPTS_COME_SOON:
            return SOON
        return LATER if since < RECEIPTS_COME else None

    @property
    def starts_at(self) -> datetime | None:
        """The time for which it is planned; None if it has come, or there is none."""
        when = self.notification.send_at
        return when if when is not None and when > timezone.now() else None

    def headline(self) -> str:
        """How far it is, in one line."""
        if not self.total:
            return _("There are no recipients.")
        if self.state is State.CANCELLED:
            text = ngettext(
                "%(count)d of %(total)d message was cancelled.",
                "%(count)d of %(total)d messages were cancelled.",
                self.total,
            )
            return text % {"count": self.counts.get(Status.CANCELLED, 0), "total": self.total}
        if not self.waiting:
            text = ngettext("%d message is done.", "All %d messages are done.", self.total)
            return text % self.total
        names = {"done": self.now.done, "total": self.total, "percent": self.percent}
        return _("%(done)d of %(total)d done (%(percent)d %%)") % names

    def details(self) -> Iterator[str]:
        """What holds it up, when it starts, or how fast it is and how long it will take."""
        if self.notification.is_test:
            yield _("It is a test: statistics do not count it.")
        if not self.waiting or self.state is State.CANCELLED:
            return
        yield from self.holdups
        if self.starts_at is not None:
            when = date_format(timezone.localtime(self.starts_at), "DATETIME_FORMAT")
            yield _("It starts at %(time)s.") % {"time": when}
        elif self.rate and not self.holdups:
            yield _speed(self.rate)
            yield _left(self.waiting / self.rate)


def _speed(rate: float) -> str:
    if rate >= 1:
        return _("%(rate)d a second") % {"rate": round(rate)}
    return _("%(rate)s a minute") % {"rate": f"{60 * rate:.2g}"}


def _left(seconds: float) -> str:
    whole = math.ceil(seconds)
    if whole < 90:
        return ngettext("about %d second left", "about %d seconds left", whole) % whole
    minutes = round(seconds / 60)
    if minutes < 90:
        return ngettext("about %d minute left", "about %d minutes left", minutes) % minutes
    hours = round(seconds / 3600)
    return ngettext("about %d hour left", "about %d hours left", hours) % hours


class ProgressMixin(ResendMixin):
    """Adds the panel to a notification's page, and the resending that it offers."""

    change_form_template = "wechat_notify/admin/notification_form.html"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (notification := context.get("original")) is not None:
            context["panel"] = self._panel(request, Progress(notification))
        return super().render_change_form(request, context, *args, **kwargs)

    @page("<path:object_id>/progress/", "progress")
    def _progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = self.find(request, object_id)
        progress = Progress(notification, Sample.of(request.GET))
        return JsonResponse(
            {
                "html": self._panel(request, progress),
                "again": progress.again,
                "done": progress.now.done,
                "at": progress.now.at,
            }
        )

    def _panel(self, request: HttpRequest, progress: Progress) -> SafeString:
        notification = progress.notification
        mended = Mended(notification)
        # Before its time, whoever has bound WeChat meanwhile would get it too early.
        offers = _may_resend(request) and progress.starts_at is None
        resend_url = self.url("resend", notification.pk) if offers else ""
        site, number = self.admin_site, notification.pk
        context = {
            "progress": progress,
            "state": with_test_mark(state_badge(progress.state), notification),
            "details": list(progress.details()),
            "ways": self._remedies(request, progress),
            "segments": segments(progress.counts),
            "counts": [
                (status_badge(status), count, self._log_url(notification, status__exact=status))
                for status, count in progress.counts.items()
            ],
            "log_url": self._log_url(notification),
            "causes": [
                cause_row(site, cause, notification=number)
                | (resending_of(cause, mended, resend_url) if resend_url else {})
                | {"again_url": cause_url(site, request, number, cause, mended)}
                for cause in mended.causes
            ],
            "missed": missed_buttons(site, request, number, progress.counts),
            "names": self._names(request, notification, mended.causes),
            "resendable": mended.now() if resend_url else 0,
            "resend_url": resend_url,
            "url": self.url("progress", number),
            "page_url": self.url("change", number),
        }
        return render_to_string("wechat_notify/admin/progress.html", context)

    def _names(
        self, request: HttpRequest, notification: Notification, found: list[Cause]
    ) -> list[Button]:
        """To the people behind the causes, and what invites those who have not bound or do not
        follow."""
        ways = to_who_was_not_reached(self.admin_site, request, notification)
        if any(needs_invitation(cause.errcode, cause.words) for cause in found):
            ways += to_invite_all(self.admin_site, request, notification)
        return ways

    def _remedies(self, request: HttpRequest, progress: Progress) -> list[Button]:
        if not progress.waiting:
            return []
        return for_notification(self.admin_site, request, progress.notification)

    def _log_url(self, notification: Notification, **filters: Any) -> str:
        return list_url(self.admin_site, SendLog, notification=notification.pk, **filters)

    @page("<path:object_id>/resend/", "resend")
    def _resend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = self.find(request, object_id, allowed=_may_resend(request))
        mended = Mended(notification)
        cause = chosen_cause(request, mended.causes)
        back = self.url("change", notification.pk)
        rows, others = mended.rows(cause), mended.others(cause)
        return self.resend_confirmed(request, rows, back=back, others=others)


def _may_resend(request: HttpRequest) -> bool:
    """Resend from here: it also takes the permission to see the send log."""
    return may_resend(request) and may_see_send_log(request)
