"""Resending from the send log: what will happen, asked first, and then done."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import services
from ..conf import settings
from ..exceptions import ConfigurationError, TemplateNotFound
from ..models import MessageTemplate, Notification, SendLog, SendLogQuerySet
from .badges import status_badge
from .base import BaseAdmin, may_see_openids
from .compose.people import SEND
from .confirmation import Confirmation, ask, is_confirmed, once_token
from .explanations import why_paused
from .links import link, list_url, object_link
from .people import who
from .rests import why_at_rest

Status = SendLog.Status

ALREADY = gettext_lazy("This was done already. Nothing was sent a second time.")
RESEND = "wechat_notify.resend_sendlog"
SEND_AGAIN = (RESEND, SEND)
"""What it takes to resend: nobody who may not send may send again."""
NAMED = 20
LINKED = 5


class ResendMixin(BaseAdmin):
    """The one way to resend, for the list's action and for one row's own button."""

    def resend_confirmed(
        self, request: HttpRequest, logs: SendLogQuerySet, *, back: str
    ) -> HttpResponse:
        """Ask; once that is answered with yes, resend these rows and say what came of it."""
        if not is_confirmed(request):
            hidden = _selection(request)
            plan = ResendPlan(logs)
            return ask(self, request, plan.question(request, back=back, hidden=hidden))
        if _was_answered(request):
            self.message_user(request, ALREADY, messages.WARNING)
        else:
            self._resend(request, logs)
        return HttpResponseRedirect(back)

    def _resend(self, request: HttpRequest, logs: SendLogQuerySet) -> None:
        began = timezone.now()
        try:
            rows = services.resend(logs, created_by=request.user, token=once_token(request))
        except (TemplateNotFound, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        made = Notification.objects.filter(pk__in=rows.order_by().values("notification_id"))
        # Not new: the same page was answered by somebody quicker.
        notifications = list(made.filter(created_at__gte=began).order_by("pk"))
        if not notifications:
            nothing = ALREADY if made.exists() else _("There was nothing to resend.")
            self.message_user(request, nothing, messages.WARNING)
            return
        for notification in notifications:
            self.log_addition(request, notification, _("Resent from the send log."))
        links = self._links(notifications)
        new = SendLog.objects.filter(notification__in=notifications)
        message = format_html("{} {}", _summary(new), links)
        self.message_user(request, message, messages.SUCCESS)

    def _links(self, notifications: list[Notification]) -> SafeString:
        if len(notifications) > LINKED:
            resent = Notification.Source.RESEND
            url = list_url(self.admin_site, Notification, source__exact=resent)
            return link(url, _("See the new notifications"))
        shown = [object_link(self.admin_site, notification) for notification in notifications]
        return format_html("{}" + ", {}" * (len(shown) - 1), *shown)


def _was_answered(request: HttpRequest) -> bool:
    """Whether this page has been answered before: somebody pressed the button twice.

    What the first answer resent may be among the rows of the second, where a filter chose them.
    """
    token = once_token(request)
    mine = Notification.objects.filter(created_by=request.user.pk)  # by an index
    return bool(token) and mine.filter(key__startswith=f"resend-{token}-").exists()


class ResendPlan:
    """What resending these rows would do. Asks the database; changes nothing."""

    def __init__(self, logs: SendLogQuerySet) -> None:
        self.logs = logs.order_by()
        self.counts = self.logs.counts()
        self.waiting = sum(self.counts[status] for status in SendLog.OPEN)
        self.again = sum(self.counts.values()) - self.waiting
        self.final = self.logs.final()

    def question(
        self, request: HttpRequest, *, back: str, hidden: list[tuple[str, str]]
    ) -> Confirmation:
        """The confirmation page for this user."""
        templates = self._templates()
        again = ngettext(
            "%d message will be sent again.", "%d messages will be sent again.", self.again
        )
        button = ngettext("Resend %d message", "Resend %d messages", self.again)
        return Confirmation(
            title=_("Resend messages"),
            button=button % self.again,
            back=back,
            facts=[again % self.again, *self._facts()],
            warnings=[*self._repeats(), *_delays(templates)],
            items_title=_("To whom"),
            items=self._people(request),
            obstacle=self._obstacle(templates),
            hidden=hidden,
            once=True,
        )

    def _templates(self) -> list[MessageTemplate]:
        ids = self.final.values_list("notification__template_id", flat=True).distinct()
        return list(MessageTemplate.objects.filter(pk__in=list(ids)).order_by("account", "name"))

    def _obstacle(self, templates: list[MessageTemplate]) -> str:
        if not self.again:
            return _("There is nothing to resend: these messages are still waiting.")
        aliases = settings.aliases
        unusable = [row for row in templates if not row.is_active or row.account not in aliases]
        if not unusable:
            return ""
        text = _(
            "These templates are not active, so nothing can be sent with them: %(names)s. "
            "Sync or activate them, or leave their messages out."
        )
        return text % {"names": ", ".join(str(row) for row in unusable)}

    def _facts(self) -> Iterator[str]:
        if self.waiting:
            text = ngettext(
                "%d is left alone because it is still waiting or being sent.",
                "%d are left alone because they are still waiting or being sent.",
                self.waiting,
            )
            yield text % self.waiting
        if unbound := self.final.filter(openid="").count():
            text = ngettext(
                "%d had no openid: it is sent only if that user has bound WeChat since.",
                "%d had no openid: they are sent only if those users have bound WeChat since.",
                unbound,
            )
            yield text % unbound

    def _repeats(self) -> Iterator[str]:
        if arrived := self.counts[Status.SENT] + self.counts[Status.DELIVERED]:
            text = ngettext(
                "%d was accepted or delivered: that person gets it a second time.",
                "%d were accepted or delivered: these people get it a second time.",
                arrived,
            )
            yield text % arrived
        if doubtful := self.counts[Status.UNCERTAIN]:
            text = ngettext(
                "%d is uncertain: that person may get it a second time.",
                "%d are uncertain: these people may get it a second time.",
                doubtful,
            )
            yield text % doubtful
        resends = SendLog.objects.filter(resend_of=OuterRef("pk"))
        if resent := self.final.filter(Exists(resends)).count():
            text = ngettext("%d was resent before.", "%d were resent before.", resent)
            yield text % resent

    def _people(self, request: HttpRequest) -> list[SafeString]:
        whole = may_see_openids(request)
        rows = self.final.select_related("user").order_by("-pk")[:NAMED]
        named = [
            format_html("{} {}", who(log, whole=whole), status_badge(log.status)) for log in rows
        ]
        if self.again > len(named):
            rest = self.again - len(named)
            more = ngettext("and %d more", "and %d more", rest) % rest
            named.append(format_html("{}", more))
        return named


def _delays(templates: list[MessageTemplate]) -> Iterator[str]:
    """What keeps the new messages from going out at once."""
    for template in templates:
        if why := why_paused(template):
            names = {"template": template, "why": why}
            yield _("Template %(template)s is paused, its messages wait: %(why)s") % names
    for account in sorted({template.account for template in templates}):
        rest = why_at_rest(account) if account in settings.aliases else None
        if rest is not None:
            yield f"{rest.heading} {rest.reason}"


def _selection(request: HttpRequest) -> list[tuple[str, str]]:
    """What the list's action form said, to be said again with the answer."""
    if request.method != "POST" or "action" not in request.POST:
        return []
    names = ("select_across", ACTION_CHECKBOX_NAME)
    chosen = [(name, value) for name in names for value in request.POST.getlist(name)]
    return [("action", "resend"), *chosen]


def _summary(rows: SendLogQuerySet) -> str:
    counts: dict[str, Any] = {status: n for status, n in rows.counts().items() if n}
    total = sum(counts.values())
    said = ", ".join(f"{Status(status).label}: {n}" for status, n in counts.items())
    resent = ngettext("%d message was resent", "%d messages were resent", total) % total
    return f"{resent} ({said})."
