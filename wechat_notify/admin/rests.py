"""Accounts at rest: the banner that says why nothing goes out, and the way to try again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from ..delivery.breaker import Breaker, Rest
from ..exceptions import ConfigurationError
from ..services import resume_account
from ..wechat.errors import refused_ip
from .access import allowed_accounts
from .accounts import log_account_change
from .base import BaseAdmin
from .confirmation import Confirmation, ask, is_confirmed

PERMISSION = "wechat_notify.send_notification"


@dataclass(frozen=True, slots=True)
class AccountRest:
    """One account at rest, for a banner. ``url`` is empty for those who may not end it."""

    account: str
    heading: str
    reason: str
    url: str = ""


def why_at_rest(account: str) -> AccountRest | None:
    """Why nothing is sent for this account at the moment; None when it does send."""
    rest = Breaker(account).rest()
    if rest is None:
        return None
    return AccountRest(account, _heading(account, rest), _reason(rest))


def _heading(account: str, rest: Rest) -> str:
    names = {"account": account, "time": _moment(rest.until)}
    if rest.until <= timezone.now():
        return _("Account %(account)s rests until the next delivery run tries it.") % names
    if rest.by_hand:
        return _("Account %(account)s rests. It is tried again at %(time)s.") % names
    return _("Account %(account)s rests until %(time)s.") % names


def _reason(rest: Rest) -> str:
    address = refused_ip(rest.errmsg)
    if not address:
        return rest.info.in_words()
    text = _("%(cause)s The address is %(ip)s. %(next_step)s (errcode %(errcode)d)")
    info = rest.info
    names = {"cause": info.cause, "next_step": info.next_step, "errcode": rest.errcode}
    return text % {**names, "ip": address}


def _moment(when: datetime) -> str:
    """The time of day; with the date where it is more than a day away."""
    local = timezone.localtime(when)
    if local - timezone.localtime() < timedelta(days=1):
        return time_format(local, "H:i")
    return date_format(local, "SHORT_DATETIME_FORMAT")


class RestsMixin(BaseAdmin):
    """Puts the banner on a list page, and "Try again now" behind it."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._try_again_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_try_again"
        return [path("accounts/<str:account>/try-again/", view, name=name), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        allowed = allowed_accounts(self.admin_site, request)
        found = [why_at_rest(account) for account in allowed]
        rests = [self._for_user(rest, request) for rest in found if rest is not None]
        return super().changelist_view(request, {"rests": rests, **(extra_context or {})})

    def _for_user(self, rest: AccountRest, request: HttpRequest) -> AccountRest:
        allowed = request.user.has_perm(PERMISSION)
        url = self.url("try_again", rest.account) if allowed else ""
        return AccountRest(rest.account, rest.heading, rest.reason, url)

    def _try_again_view(self, request: HttpRequest, account: str) -> HttpResponse:
        self.require(request, PERMISSION)
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
        ended = _("Ended the rest of account %(account)s.") % {"account": account}
        log_account_change(self, request, account, ended)
        message = _("Account %(account)s no longer rests. Its messages go out with the next run.")
        self.message_user(request, message % {"account": account}, messages.SUCCESS)


def _question(rest: AccountRest, back: str) -> Confirmation:
    return Confirmation(
        title=_("Try again now"),
        button=_("Try again now"),
        back=back,
        facts=[
            f"{rest.heading} {rest.reason}",
            _("If the cause is not mended, WeChat refuses the next message and it rests again."),
        ],
    )
