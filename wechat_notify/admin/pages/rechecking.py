"""Asking WeChat whether the chosen people still follow the account."""

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...binding.follow_state import BATCH, RecheckReport, recheck
from ...exceptions import ConfigurationError, WeChatNotifyError
from ...models import OpenIDBinding
from ..base import BaseAdmin
from ..parts.account_choices import log_account_change
from ..parts.actions import chosen_rows, list_action
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..permissions import may_recheck_followers

TITLE = gettext_lazy("Ask WeChat whether they follow")
# One call to WeChat for each hundred, while a person waits for the page.
MOST = 20 * BATCH


class RecheckMixin(BaseAdmin):
    def has_recheck_permission(self, request: HttpRequest) -> bool:
        """Called by Django for the action."""
        return may_recheck_followers(request)

    @list_action(TITLE, permission="recheck")
    def recheck(
        self, request: HttpRequest, queryset: QuerySet[OpenIDBinding]
    ) -> HttpResponse | None:
        if not is_confirmed(request) or queryset.count() > MOST:
            return ask(self, request, _question(request, queryset))
        back = HttpResponseRedirect(request.get_full_path())
        # Read before: whoever no longer follows may no longer match the list's filters.
        accounts = list(queryset.order_by("account").values_list("account", flat=True).distinct())
        try:
            report = recheck(queryset.order_by("account", "pk"))
        except (WeChatNotifyError, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return back
        said = _summary(report)
        for account in accounts:
            log_account_change(self, request, account, said)
        self.message_user(request, said, messages.SUCCESS)
        return back


def _question(request: HttpRequest, queryset: QuerySet[OpenIDBinding]) -> Confirmation:
    count = queryset.count()
    too_many = _(
        "These are %(count)d people, too many for a page that waits: choose %(most)d at most, or "
        "let manage.py wechat_sync_followers ask about everybody."
    ) % {"count": count, "most": MOST}
    fact = ngettext("WeChat is asked about %d person.", "WeChat is asked about %d people.", count)
    return Confirmation(
        title=TITLE,
        button=_("Ask WeChat"),
        back=request.get_full_path(),
        facts=[fact % count, _("Who does not follow any more is skipped by later messages.")],
        obstacle=too_many if count > MOST else "",
        hidden=chosen_rows(request, "recheck"),
    )


def _summary(report: RecheckReport) -> str:
    asked = ngettext("%d person was asked about", "%d people were asked about", report.checked)
    return _("%(asked)s: %(new)d follow again, %(gone)d no longer follow.") % {
        "asked": asked % report.checked,
        "new": report.subscribed,
        "gone": report.unsubscribed,
    }
