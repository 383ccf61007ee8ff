"""The banner that says why an account sends nothing, and its button "Try again now"."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from ...exceptions import ConfigurationError
from ...names import account_name
from ...services import resume_account
from ..base import BaseAdmin, page
from ..parts.account_choices import log_account_change
from ..parts.account_rests import AccountRest, why_at_rest
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..permissions import allowed_accounts, may_send


class RestsMixin(BaseAdmin):
    """Puts the banner on a list page, with the button "Try again now"."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        allowed = allowed_accounts(self.admin_site, request)
        found = [why_at_rest(account) for account in allowed]
        rests = [self._for_user(rest, request) for rest in found if rest is not None]
        return super().changelist_view(request, {"rests": rests, **(extra_context or {})})

    def _for_user(self, rest: AccountRest, request: HttpRequest) -> AccountRest:
        url = self.url("try_again", rest.account) if may_send(request) else ""
        return replace(rest, url=url)

    @page("accounts/<str:account>/try-again/", "try_again")
    def _try_again_view(self, request: HttpRequest, account: str) -> HttpResponse:
        self.require(request, allowed=may_send(request))
        if account not in allowed_accounts(self.admin_site, request):
            raise Http404
        back = self.url("changelist")
        rest = why_at_rest(account)
        if rest is None:
            self.message_user(request, _("This account does not rest."), messages.WARNING)
            return HttpResponseRedirect(back)
        if not is_confirmed(request):
            return ask(self, request, _question(rest, back))
        self._end(request, account)
        return HttpResponseRedirect(back)

    def _end(self, request: HttpRequest, account: str) -> None:
        try:
            resume_account(account)
        except ConfigurationError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        ended = _("Ended the rest of account %(account)s.") % {"account": account_name(account)}
        log_account_change(self, request, account, ended)
        message = _("Account %(account)s no longer rests. Its messages go out.")
        self.message_user(request, message % {"account": account_name(account)}, messages.SUCCESS)


def _question(rest: AccountRest, back: str) -> Confirmation:
    return Confirmation(
        title=_("Try again now"),
        button=_("Try again now"),
        back=back,
        facts=[
            str(rest),
            _("If the cause is still there, WeChat refuses the next message and it rests again."),
        ],
    )
