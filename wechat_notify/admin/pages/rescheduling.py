"""Another time for what has not left yet of a notification."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...exceptions import ConfigurationError, InvalidData
from ...models import Notification, SendLog
from ...senders import how_to_start, nobody_sends_later
from ...services import reschedule
from ..base import BaseAdmin, Button, page
from ..compose.inputs import MomentField, check_moments
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..permissions import may_send

TITLE = gettext_lazy("Reschedule")


class RescheduleForm(forms.Form):
    """The new times; both may be empty."""

    send_at = MomentField(
        label=gettext_lazy("Send at"), required=False, help_text=gettext_lazy("Empty: now.")
    )
    expires_at = MomentField(
        label=gettext_lazy("Not later than"),
        required=False,
        help_text=gettext_lazy("What has not been sent by then is not sent at all."),
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        check_moments(self, given)
        return given


class RescheduleMixin(BaseAdmin):
    """Adds the page, and the button that leads to it."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        own = [Button(TITLE, self.url("reschedule", obj.pk))]
        allowed = may_send(request) and _waiting(obj)
        return [*(own if allowed else ()), *super().object_buttons(request, obj)]

    @page("<path:object_id>/reschedule/", "reschedule")
    def _reschedule_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notification: Notification = self.find(request, object_id, allowed=may_send(request))
        back = self.url("change", notification.pk)
        waiting = _waiting(notification)
        if not waiting:
            self.message_user(request, _("There is nothing to do here."), messages.WARNING)
            return HttpResponseRedirect(back)
        if is_confirmed(request):
            form = RescheduleForm(request.POST)
            if form.is_valid():
                self._reschedule(request, notification, form)
                return HttpResponseRedirect(back)
        else:
            form = RescheduleForm(initial=_still_to_come(notification))
        question = _question(notification, waiting, back, form)
        return ask(self, request, question, "reschedule.html")

    def _reschedule(
        self, request: HttpRequest, notification: Notification, form: RescheduleForm
    ) -> None:
        try:
            moved = reschedule(notification, **form.cleaned_data)
        except (InvalidData, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        told = _told(notification, moved)
        self.log_change(request, notification, told)
        self.message_user(request, told, messages.SUCCESS)


def _waiting(notification: Notification) -> int:
    """How many messages can be given another time."""
    return SendLog.objects.filter(notification=notification).not_left().count()


def _still_to_come(notification: Notification) -> dict[str, Any]:
    now = timezone.now()
    times = {"send_at": notification.send_at, "expires_at": notification.expires_at}
    return {name: moment for name, moment in times.items() if moment and moment > now}


def _question(
    notification: Notification, waiting: int, back: str, form: RescheduleForm
) -> Confirmation:
    fact = ngettext(
        "%d message has not left yet, and gets the new time.",
        "%d messages have not left yet, and get the new time.",
        waiting,
    )
    warnings = []
    if notification.paused_at is not None:
        warnings.append(_("It is paused: it goes out at that time if it was resumed by then."))
    if nobody_sends_later(notification.template.account):
        warnings.append(_("Nobody would send it then: no worker is running.") + how_to_start())
    return Confirmation(
        title=TITLE,
        button=TITLE,
        back=back,
        facts=[
            notification.shown_title,
            fact % waiting,
            _("What was sent, or is on its way at this moment, stays as it is."),
        ],
        warnings=warnings,
        form=form,
    )


def _told(notification: Notification, moved: int) -> str:
    if notification.send_at is None:
        text = ngettext("%d message goes out now.", "%d messages go out now.", moved)
        return text % moved
    when = date_format(timezone.localtime(notification.send_at), "DATETIME_FORMAT")
    text = ngettext(
        "%(count)d message goes out after %(time)s.",
        "%(count)d messages go out after %(time)s.",
        moved,
    )
    return text % {"count": moved, "time": when}
