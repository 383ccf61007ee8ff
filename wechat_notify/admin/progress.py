"""A notification's page while it runs: how far it is, what went wrong, what can be resent.

The panel is rendered here alone. The page shows it, and ``admin.js`` asks for it again as often
as it says; without JavaScript the page is loaded again by its own link.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import Notification, SendLog
from ..statistics import causes, resendable
from .badges import status_badge
from .causes import cause_row
from .charts import segments
from .explanations import brakes
from .export import SEE_LOG
from .links import list_url
from .resending import SEND_AGAIN, ResendMixin

Status = SendLog.Status

SOON, LATER = 2, 15
"""Seconds until the page asks again: while messages go out, and while they wait for something."""
RECEIPTS_COME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sample:
    """How many messages were done at one moment: two of them give a rate."""

    done: int
    at: float

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Sample | None":
        """The earlier sample that a page hands back; None where there is none, or nonsense."""
        try:
            found = cls(int(query["done"]), float(query["at"]))
        except (KeyError, ValueError):
            return None
        return found if math.isfinite(found.at) else None


class Progress:
    """How far one notification is. ``before`` is what an earlier look found, for the rate."""

    def __init__(self, notification: Notification, before: Sample | None = None) -> None:
        self.notification = notification
        self.counts = {status: n for status, n in notification.counts.items() if n}
        self.total = sum(self.counts.values())
        self.waiting = sum(self.counts.get(status, 0) for status in SendLog.OPEN)
        self.now = Sample(self.total - self.waiting, timezone.now().timestamp())
        self.before = before
        self.brakes = list(brakes(notification)) if self.waiting else []

    @property
    def percent(self) -> int:
        """Whole percents done, and 100 only when all are."""
        return 100 * self.now.done // self.total if self.total else 100

    @property
    def rate(self) -> float:
        """Messages done a second since the earlier look; 0.0 where that cannot be told."""
        if self.before is None or self.now.at - self.before.at < 1:
            return 0.0
        return max(0, self.now.done - self.before.done) / (self.now.at - self.before.at)

    @property
    def again(self) -> int | None:
        """Seconds after which the page should ask again; None: nothing more will happen."""
        if self.waiting:
            is_idle = self.brakes or self._starts_at is not None
            return LATER if is_idle else SOON
        asked_for = self.notification.send_at or self.notification.created_at
        expects_receipts = timezone.now() - asked_for < RECEIPTS_COME
        return LATER if expects_receipts and self.counts.get(Status.SENT) else None

    @property
    def _starts_at(self) -> datetime | None:
        when = self.notification.send_at
        return when if when is not None and when > timezone.now() else None

    def headline(self) -> str:
        """How far it is, in one line."""
        if not self.total:
            return _("There are no recipients.")
        if not self.waiting:
            text = ngettext("%d message is done.", "All %d messages are done.", self.total)
            return text % self.total
        names = {"done": self.now.done, "total": self.total, "percent": self.percent}
        return _("%(done)d of %(total)d done (%(percent)d %%)") % names

    def details(self) -> Iterator[str]:
        """What holds it, when it starts, or how fast it goes and how long it will take."""
        if not self.waiting:
            return
        yield from self.brakes
        if self._starts_at is not None:
            when = date_format(timezone.localtime(self._starts_at), "DATETIME_FORMAT")
            yield _("It starts at %(time)s.") % {"time": when}
        elif self.rate and not self.brakes:
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
    """Adds the panel to a notification's page, its address, and the resending that it offers."""

    change_form_template = "wechat_notify/admin/notification_form.html"

    def get_urls(self) -> list[URLPattern]:
        own = {"progress": self._progress_view, "resend": self._resend_view}
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"{prefix}_{name}",
            )
            for name, view in own.items()
        ] + super().get_urls()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (notification := context.get("original")) is not None:
            context["panel"] = self._panel(request, Progress(notification))
        return super().render_change_form(request, context, *args, **kwargs)

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
        logs = SendLog.objects.filter(notification=notification)
        may_resend = request.user.has_perms([*SEND_AGAIN, SEE_LOG])
        found = causes(logs)
        again = resendable(logs).count() if any(cause.can_be_resent for cause in found) else 0
        context = {
            "progress": progress,
            "details": list(progress.details()),
            "segments": segments(progress.counts),
            "counts": [
                (status_badge(status), count, self._log_url(notification, status__exact=status))
                for status, count in progress.counts.items()
            ],
            "log_url": self._log_url(notification),
            "causes": [
                cause_row(self.admin_site, cause, notification=notification.pk) for cause in found
            ],
            "resendable": again,
            "resend_url": self.url("resend", notification.pk) if may_resend else "",
            "url": self.url("progress", notification.pk),
            "page_url": self.url("change", notification.pk),
        }
        return render_to_string("wechat_notify/admin/progress.html", context)

    def _log_url(self, notification: Notification, **filters: Any) -> str:
        return list_url(self.admin_site, SendLog, notification=notification.pk, **filters)

    def _resend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = self.find(request, object_id, *SEND_AGAIN, SEE_LOG)
        logs = resendable(SendLog.objects.filter(notification=notification))
        back = self.url("change", notification.pk)
        return self.resend_confirmed(request, logs, back=back)
