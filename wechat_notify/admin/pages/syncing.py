"""The sync button of the template list: choose accounts, confirm, and see what changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...exceptions import ConfigurationError, WeChatNotifyError
from ...names import account_name
from ...services import sync_templates
from ...template_sync import SyncReport
from ..base import BaseAdmin, Button, page
from ..parts.account_choices import accounts_field, log_account_change
from ..parts.charts import share
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..permissions import allowed_accounts, may_sync_templates

TITLE = gettext_lazy("Sync with WeChat")


class AccountsForm(forms.Form):
    def __init__(self, aliases: Sequence[str], data: Any = None) -> None:
        super().__init__(data)
        self.fields["account"] = accounts_field(_("Accounts"), aliases)


@dataclass(frozen=True, slots=True)
class Told:
    """One message to the person who syncs: a level of ``django.contrib.messages``, and the text."""

    level: int
    text: str

    def as_json(self) -> dict[str, str]:
        return {"tag": messages.DEFAULT_TAGS[self.level], "text": self.text}


class SyncMixin(BaseAdmin):
    """A page that asks for which accounts, and syncs them.

    Its script sends one account at a time, so that the page can show how far it is; without the
    script all accounts come in one POST.
    """

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return self.first_steps(request) + super().list_buttons(request)

    def first_steps(self, request: HttpRequest) -> list[Button]:
        return [Button(TITLE, self.url("sync"))] if may_sync_templates(request) else []

    @page("sync/", "sync")
    def _sync_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request, allowed=may_sync_templates(request))
        back = self.url("changelist")
        aliases = allowed_accounts(self.admin_site, request)
        form = AccountsForm(aliases, request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            bar = share(0, len(aliases), "good")
            return ask(self, request, _question(form, back), "sync.html", bar=bar)
        told = [one for alias in form.cleaned_data["account"] for one in self._sync(request, alias)]
        if request.headers.get("Accept") == "application/json":
            return JsonResponse({"told": [one.as_json() for one in told]})
        for one in told:
            self.message_user(request, one.text, one.level)
        return HttpResponseRedirect(back)

    def _sync(self, request: HttpRequest, account: str) -> Iterator[Told]:
        try:
            report = sync_templates(account)
        except (WeChatNotifyError, ConfigurationError) as error:
            yield Told(messages.ERROR, f"{account_name(account)}: {error}")
            return
        summary = _summary(account, report)
        log_account_change(self, request, account, summary)
        self._log_report(request, report)
        yield Told(messages.SUCCESS, summary)
        if report.deactivated:
            names = ", ".join(template.name for template in report.deactivated)
            gone = _("WeChat no longer lists: %(names)s. Nothing is sent with these any more.")
            yield Told(messages.WARNING, gone % {"names": names})
        if report.by_hand:
            names = ", ".join(template.name for template in report.by_hand)
            by_hand = _("Entered by hand, and WeChat’s list does not have it: %(names)s")
            yield Told(messages.WARNING, by_hand % {"names": names})
        if report.needed:
            needed = _("Code of this site uses these, and fails until they are back: %s")
            names = ", ".join(template.name for template in report.needed)
            yield Told(messages.ERROR, needed % names)
        if report.diffs:
            changed = _("The content changed: %(names)s. Check the code that sends them.")
            yield Told(messages.WARNING, changed % {"names": ", ".join(report.diffs)})

    def _log_report(self, request: HttpRequest, report: SyncReport) -> None:
        for template in report.created:
            self.log_addition(request, template, _("Found on WeChat by a sync."))
        for template in report.updated:
            diff = report.diffs.get(template.name, [])
            self.log_change(
                request, template, "\n".join([_("Changed on WeChat, found by a sync."), *diff])
            )
        for template in report.deactivated:
            self.log_change(request, template, _("No longer on WeChat, found by a sync."))
        for template in report.reactivated:
            self.log_change(request, template, _("Back on WeChat, found by a sync."))


def _question(form: AccountsForm, back: str) -> Confirmation:
    return Confirmation(
        title=TITLE,
        button=TITLE,
        back=back,
        facts=[
            _("The list of each account’s templates is fetched from WeChat."),
            _("Titles, contents and examples become what WeChat says; new templates are added."),
            _("A template that WeChat no longer lists becomes inactive. None is ever deleted."),
        ],
        form=form,
    )


def _summary(account: str, report: SyncReport) -> str:
    return _(
        "Account %(account)s is in line with WeChat: %(new)d new, %(updated)d changed, "
        "%(gone)d no longer listed, %(back)d back, %(same)d unchanged."
    ) % {
        "account": account_name(account),
        "new": len(report.created),
        "updated": len(report.updated),
        "gone": len(report.deactivated),
        "back": len(report.reactivated),
        "same": len(report.unchanged),
    }
