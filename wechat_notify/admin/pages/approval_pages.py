"""Approving or refusing messages to many people that somebody else has asked for."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite, display
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ... import approving
from ...conf import settings
from ...exceptions import CannotDecide, ConfigurationError
from ...models import REASON_LENGTH, Approval, Notification
from ..base import BaseAdmin, Button, page
from ..parts.account_rests import why_at_rest
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..parts.frame import admin_page
from ..parts.remedies import for_approved
from ..parts.timeline import approval_moments
from ..parts.to_approve import Waiting, source, sources
from ..permissions import may_approve
from .approval_review import ApprovalReview

TITLE = gettext_lazy("To approve")
APPROVE = gettext_lazy("Approve")
REFUSE = gettext_lazy("Refuse")
LISTED = 200


class RefusalForm(forms.Form):
    """Why it is refused: whoever asked for it reads that."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Whoever asked for it reads this."),
    )


def refusal(request: HttpRequest) -> RefusalForm:
    """The form as it was answered, or empty."""
    return RefusalForm(request.POST if is_confirmed(request) else None)


class ApprovalMixin(BaseAdmin):
    """On the notifications: what waits for approval, and the two answers to it."""

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        is_used = settings.APPROVAL_ABOVE is not None and may_approve(request)
        own = [Button(TITLE, self.url("to_approve"))] if is_used else []
        return [*super().list_buttons(request), *own]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets: Any = super().get_fieldsets(request, obj)
        if obj is None or _approval_of(obj) is None:
            return fieldsets
        return [*fieldsets, (_("Approval"), {"fields": ("approval_history",)})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "approval_history")

    @display(description=gettext_lazy("what happened"))
    def approval_history(self, obj: Notification) -> SafeString:
        """Who asked, who decided, and when."""
        approval = _approval_of(obj)
        context = {"moments": [] if approval is None else list(approval_moments(approval))}
        return render_to_string("wechat_notify/admin/timeline.html", context)

    # -- the pages ----------------------------------------------------------------------------

    @page("to-approve/", "to_approve")
    def _to_approve_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request, allowed=may_approve(request))
        found = [one for find in sources for one in find(self.admin_site, request)]
        found.sort(key=lambda one: one.asked_at)
        return admin_page(self, request, "to_approve.html", title=TITLE, waiting=found)

    @page("<path:object_id>/approve/", "approve")
    def _approve_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = self.find(request, object_id, allowed=may_approve(request))
        if (gone := self._undecidable(request, notification)) is not None:
            return gone
        if is_confirmed(request):
            return self._approve(request, notification)
        review = ApprovalReview(notification, request)
        button = ngettext("Approve: send %d message", "Approve: send %d messages", review.count)
        confirmation = Confirmation(
            title=APPROVE,
            button=button % review.count,
            back=self.url("change", notification.pk),
            warnings=list(review.holdups),
            hidden=[("seen", review.seen)],
            ways=[Button(REFUSE, self.url("refuse", notification.pk))],
        )
        ways = for_approved(self.admin_site, request, notification)
        return ask(self, request, confirmation, "approve.html", review=review, ways=ways)

    @page("<path:object_id>/refuse/", "refuse")
    def _refuse_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification = self.find(request, object_id, allowed=may_approve(request))
        if (gone := self._undecidable(request, notification)) is not None:
            return gone
        form = refusal(request)
        if form.is_valid():
            return self._refuse(request, notification, form.cleaned_data["reason"])
        confirmation = Confirmation(
            title=REFUSE,
            button=_("Refuse, and cancel sending"),
            back=self.url("change", notification.pk),
            facts=[_("Nobody gets these messages. They are cancelled for good.")],
            items=[notification],
            form=form,
        )
        return ask(self, request, confirmation)

    # -- pieces -------------------------------------------------------------------------------

    def _undecidable(self, request: HttpRequest, notification: Notification) -> HttpResponse | None:
        """Back to the notification's page, where there is nothing to decide for this user."""
        approval = _approval_of(notification)
        if approval is None:
            problem = _("It does not wait for approval.")
        else:
            problem = approving.why_not(approval, request.user)
        if not problem and notification.cancelled_at is not None:
            problem = approving.nothing_waits()
        return self._told_why(request, notification, problem) if problem else None

    def _told_why(
        self, request: HttpRequest, notification: Notification, problem: str
    ) -> HttpResponse:
        self.message_user(request, problem, messages.WARNING)
        return HttpResponseRedirect(self.url("change", notification.pk))

    def _approve(self, request: HttpRequest, notification: Notification) -> HttpResponse:
        # Whoever has not seen the page has seen nothing: an answer without it approves nothing.
        seen = request.POST.get("seen") or "-"
        try:
            freed = approving.approve(notification, request.user, seen=seen)
        except CannotDecide as error:
            return self._told_why(request, notification, str(error))
        except ConfigurationError as error:
            return self._told_why(request, notification, str(error))
        text = _("Approved. It does not go out yet: this page says why.")
        if freed and not _account_rests(notification):
            text = ngettext(
                "Approved: %d message goes out.", "Approved: %d messages go out.", freed
            )
            text %= freed
        return self._done(request, notification, text)

    def _refuse(self, request: HttpRequest, notification: Notification, why: str) -> HttpResponse:
        try:
            count = approving.refuse(notification, request.user, why)
        except CannotDecide as error:
            return self._told_why(request, notification, str(error))
        text = ngettext(
            "Refused: %d message was cancelled.", "Refused: %d messages were cancelled.", count
        )
        return self._done(request, notification, text % count)

    def _done(self, request: HttpRequest, notification: Notification, text: str) -> HttpResponse:
        self.log_change(request, notification, text)
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(self.url("change", notification.pk))


def _account_rests(notification: Notification) -> bool:
    account = notification.template.account
    return account in settings.aliases and why_at_rest(account) is not None


def _approval_of(notification: Any) -> Approval | None:
    """Its request, open or decided. Kept on the object: Django asks for the fieldsets several times
    a page."""
    if not hasattr(notification, "own_approval"):
        notification.own_approval = Approval.objects.filter(notification=notification).first()
    found: Approval | None = notification.own_approval
    return found


@source
def notifications_to_approve(site: AdminSite, request: HttpRequest) -> Any:
    """Those of the accounts that this member of staff may use, the oldest first."""
    rows: Any = site.get_model_admin(Notification).get_queryset(request)
    held = rows.filter(approval__decision="", held_at__isnull=False, cancelled_at__isnull=True)
    held = held.select_related("approval", "template", "revision").order_by("pk")[:LISTED]
    for notification in held:
        approval = notification.approval
        detail = ngettext("%d message", "%d messages", approval.messages) % approval.messages
        yield Waiting(
            what=str(notification),
            url=_approve_url(site, notification),
            asker=approval.asker,
            asked_at=approval.asked_at,
            is_own=bool(approving.why_not(approval, request.user)),
            detail=detail,
        )


def to_approve_url(site: AdminSite) -> str:
    """Where the list is."""
    return reverse("admin:wechat_notify_notification_to_approve", current_app=site.name)


def _approve_url(site: AdminSite, notification: Notification) -> str:
    name = "admin:wechat_notify_notification_approve"
    return reverse(name, args=[notification.pk], current_app=site.name)
