"""Asking WeChat whether the chosen people still follow the account."""

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..binding.follow_state import BATCH, RecheckReport, recheck
from ..exceptions import ConfigurationError, WeChatNotifyError
from ..models import OpenIDBinding
from .accounts import log_account_change
from .actions import list_action
from .base import BaseAdmin
from .confirmation import Confirmation, ask, is_confirmed

RECHECK = "wechat_notify.change_openidbinding"
TITLE = gettext_lazy("Ask WeChat whether they follow")
# One call for each hundred, while a person waits for the page.
MOST = 20 * BATCH


class RecheckMixin(BaseAdmin):
    def has_recheck_permission(self, request: HttpRequest) -> bool:
        """Asked by Django for the action."""
        return request.user.has_perm(RECHECK)

    @list_action(TITLE, permission="recheck")
    def recheck(
        self, request: HttpRequest, queryset: QuerySet[OpenIDBinding]
    ) -> HttpResponse | None:
        if not is_confirmed(request) or queryset.count() > MOST:
            return ask(self, request, _question(request, queryset))
        back = HttpResponseRedirect(request.get_full_path())
        try:
            report = recheck(queryset.order_by("account", "pk"))
        except (WeChatNotifyError, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return back
        said = _summary(report)
        for account in sorted(set(queryset.order_by().values_list("account", flat=True))):
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
    names = ("select_across", ACTION_CHECKBOX_NAME)
    chosen = [(name, value) for name in names for value in request.POST.getlist(name)]
    return Confirmation(
        title=TITLE,
        button=_("Ask WeChat"),
        back=request.get_full_path(),
        facts=[fact % count, _("Who does not follow any more is skipped by later messages.")],
        obstacle=too_many if count > MOST else "",
        hidden=[("action", "recheck"), *chosen],
    )


def _summary(report: RecheckReport) -> str:
    asked = ngettext("%d person was asked about", "%d people were asked about", report.checked)
    return _("%(asked)s: %(new)d follow again, %(gone)d no longer follow.") % {
        "asked": asked % report.checked,
        "new": report.subscribed,
        "gone": report.unsubscribed,
    }
