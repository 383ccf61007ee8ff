""" "Ask whether it was blocked": what became of a message that WeChat takes without a number.

Such a message is under review; WeChat lists those that it has blocked (docs/wechat-api.md, 2.4,
12.6). It is a POST: it calls WeChat and counts in the account's quota.
"""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...account_state import note_blocked
from ...exceptions import ConfigurationError, WeChatNotifyError
from ...models import SendLog
from ..base import BaseAdmin, Button, page
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..permissions import may_explain_failures

TITLE = gettext_lazy("Ask whether it was blocked")


class ReviewedMixin(BaseAdmin):
    """A button on the page of a message that is under review."""

    def object_buttons(self, request: HttpRequest, obj: SendLog) -> list[Button]:
        allowed = obj.is_under_review and may_explain_failures(request)
        own = [Button(TITLE, self.url("reviewed", obj.pk))] if allowed else []
        return super().object_buttons(request, obj) + own

    @page("<path:object_id>/reviewed/", "reviewed")
    def _reviewed_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        log: SendLog = self.find(request, object_id, allowed=may_explain_failures(request))
        back = self.url("change", log.pk)
        if not log.is_under_review:
            self.message_user(request, _("There is nothing to do here."), messages.WARNING)
            return HttpResponseRedirect(back)
        if not is_confirmed(request):
            fact = _(
                "WeChat took this message without giving it a number: it is under review. WeChat "
                "lists the last hundred messages of a template that it has blocked. If this one is "
                "among them, it is marked as not delivered."
            )
            return ask(self, request, Confirmation(TITLE, _("Ask WeChat"), back, facts=[fact]))
        try:
            blocked = note_blocked(log)
        except (WeChatNotifyError, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(back)
        text = _("WeChat has blocked this message.") if blocked else _("It was not blocked.")
        self.log_change(request, log, text)
        self.message_user(request, text, messages.WARNING if blocked else messages.SUCCESS)
        return HttpResponseRedirect(back)
