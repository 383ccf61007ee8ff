"""Resending from the send log: a page says what will happen, and asks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ... import services
from ...exceptions import ConfigurationError, TemplateNotFound
from ...models import Notification, SendLog, SendLogQuerySet
from ...wechat.errors import Words
from ..base import BaseAdmin, Button
from ..parts.actions import chosen_rows
from ..parts.approvers import who_can_approve
from ..parts.confirmation import ALREADY, ask, is_confirmed, once_token
from ..parts.links import link, list_url, object_link
from ..parts.remedies import for_template
from .resend_plan import ResendPlan

Status = SendLog.Status

LINKED = 5


class ResendMixin(BaseAdmin):
    """Used by the list's action, by one message's button and by a notification's page."""

    def resend_confirmed(
        self,
        request: HttpRequest,
        logs: SendLogQuerySet,
        *,
        back: str,
        others: Sequence[tuple[Words, int, SendLogQuerySet]] = (),
    ) -> HttpResponse:
        """Ask first; if the answer is yes, resend these rows and say what happened.

        The question names ``others`` as left out: rows with the reason and their number.
        """
        if not is_confirmed(request):
            hidden = chosen_rows(request, "resend")
            plan = ResendPlan(logs, self.admin_site, request, others)
            question = plan.question(back=back, hidden=hidden)
            return ask(self, request, replace(question, ways=self._ways(request, plan)))
        # Before anything is resent: a filter may choose the rows that the first answer made.
        if services.was_resent(once_token(request), created_by=request.user):
            self.message_user(request, ALREADY, messages.WARNING)
        else:
            self._resend(request, logs)
        return HttpResponseRedirect(back)

    def _ways(self, request: HttpRequest, plan: ResendPlan) -> list[Button]:
        """Pages that let go what would hold the new messages up."""
        found = [
            way
            for template in plan.templates
            for way in for_template(self.admin_site, request, template)
        ]
        return list(dict.fromkeys(found))

    def _resend(self, request: HttpRequest, logs: SendLogQuerySet) -> None:
        token = once_token(request)
        try:
            made = services.resend_notifications(
                logs, created_by=request.user, token=token, needs_approval=True
            )
        except (TemplateNotFound, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        # Not new: the same page was answered a moment ago.
        notifications = [notification for notification in made if notification.is_new]
        if not notifications:
            nothing = ALREADY if made else _("There was nothing to resend.")
            self.message_user(request, nothing, messages.WARNING)
            return
        for notification in notifications:
            self.log_addition(request, notification, _("Resent from the send log."))
        links = self._links(notifications)
        new = SendLog.objects.filter(notification__in=notifications)
        held = sum(one.held_at is not None for one in notifications)
        summary = _held(new) if held else _summary(new)
        self.message_user(request, format_html("{} {}", summary, links), messages.SUCCESS)
        for account in sorted({one.template.account for one in notifications} if held else ()):
            told = who_can_approve(self.admin_site, request, account)
            self.message_user(request, told, messages.INFO)

    def _links(self, notifications: list[Notification]) -> SafeString:
        if len(notifications) > LINKED:
            resent = Notification.Source.RESEND
            url = list_url(self.admin_site, Notification, source__exact=resent)
            return link(url, _("See the new notifications"))
        shown = ((object_link(self.admin_site, notification),) for notification in notifications)
        return format_html_join(", ", "{}", shown)


def _held(rows: SendLogQuerySet) -> str:
    """How many of the new rows wait for approval."""
    count = rows.waiting().count()
    return (
        ngettext("%d message waits for approval.", "%d messages wait for approval.", count) % count
    )


def _summary(rows: SendLogQuerySet) -> str:
    """What became of the new rows: how many are sent, and how many are skipped all the same."""
    counts: dict[str, Any] = {status: n for status, n in rows.counts().items() if n}
    skipped = counts.get(Status.SKIPPED, 0)
    total = sum(counts.values()) - skipped
    said = ", ".join(f"{Status(status).label}: {n}" for status, n in counts.items())
    resent = ngettext("%d message was resent", "%d messages were resent", total) % total
    return f"{resent} ({said})."
