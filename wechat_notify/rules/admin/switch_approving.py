"""Approving that a rule is switched on, refusing it, and withdrawing the request."""

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...admin.base import BaseAdmin, Button, page
from ...admin.pages.approval_pages import APPROVE, REFUSE, refusal
from ...admin.parts.confirmation import Confirmation, ask, is_confirmed
from ...admin.parts.to_approve import Waiting, source
from ...admin.permissions import may_approve
from ...approving import why_not
from ...exceptions import CannotDecide
from .. import second_person
from ..models import Rule, SwitchRequest
from ..sentence import sentence
from .looking import labels_of
from .past import past_of
from .states import problems_of
from .who_may import may_switch_rules

WITHDRAW = gettext_lazy("Withdraw the request")
LISTED = 200


class SwitchApprovalMixin(BaseAdmin):
    """On a rule's pages, while somebody wants it to be on."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        buttons = super().object_buttons(request, obj)
        waiting = second_person.open_request(obj)
        if waiting is None:
            return buttons
        if may_switch_rules(request):
            buttons = [Button(WITHDRAW, self.url("withdraw", obj.pk)), *buttons]
        if may_approve(request) and not why_not(waiting, request.user):
            own = ((APPROVE, "approve"), (REFUSE, "refuse"))
            buttons = [*(Button(words, self.url(name, obj.pk)) for words, name in own), *buttons]
        return buttons

    @page("<path:object_id>/approve/", "approve")
    def _approve_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule: Rule = self.find(request, object_id, allowed=may_approve(request))
        waiting = second_person.open_request(rule)
        if is_confirmed(request) or waiting is None:
            seen = request.POST.get("seen", "")
            told = _("“%s” is on.") % rule
            return self._decided(
                request, rule, told, lambda: second_person.approve(rule, request.user, seen=seen)
            )
        if problem := why_not(waiting, request.user):
            return self._back(request, rule, problem, messages.WARNING)
        problems = problems_of(rule)
        confirmation = Confirmation(
            title=APPROVE,
            button=_("Approve, and switch it on"),
            back=self.url("try", rule.pk),
            facts=list(_facts(rule, waiting, is_ready=not problems)),
            items_title=_("What is wrong with it") if problems else _("What it says"),
            items=problems or list(_texts(rule)),
            obstacle=_("It cannot be switched on like this. Change it first.") if problems else "",
            hidden=[("seen", second_person.fingerprint(rule))],
            ways=[
                Button(_("Try it"), self.url("try", rule.pk)),
                Button(REFUSE, self.url("refuse", rule.pk)),
            ],
        )
        return ask(self, request, confirmation)

    @page("<path:object_id>/refuse/", "refuse")
    def _refuse_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule: Rule = self.find(request, object_id, allowed=may_approve(request))
        waiting, form = second_person.open_request(rule), refusal(request)
        if form.is_valid() or waiting is None:
            reason = form.cleaned_data["reason"] if form.is_valid() else ""
            told = _("Refused: “%s” is not switched on.") % rule
            return self._decided(
                request, rule, told, lambda: second_person.refuse(rule, request.user, reason)
            )
        if problem := why_not(waiting, request.user):
            return self._back(request, rule, problem, messages.WARNING)
        facts = [_in_words(rule), _("It stays as it is now.")]
        back = self.url("try", rule.pk)
        return ask(self, request, Confirmation(REFUSE, REFUSE, back, facts=facts, form=form))

    @page("<path:object_id>/withdraw/", "withdraw")
    def _withdraw_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule: Rule = self.find(request, object_id, allowed=may_switch_rules(request))
        back = self.url("try", rule.pk)
        if second_person.open_request(rule) is None:
            return self._back(request, rule, _("There is nothing to do here."), messages.WARNING)
        if not is_confirmed(request):
            facts = [_in_words(rule), _("It stays as it is now.")]
            return ask(self, request, Confirmation(WITHDRAW, WITHDRAW, back, facts=facts))
        if second_person.withdraw(rule, request.user):
            self.log_change(request, rule, _("Withdrew the request to switch it on."))
        told = _("The request to switch “%s” on is withdrawn.") % rule
        return self._back(request, rule, told, messages.SUCCESS)

    # -- pieces -------------------------------------------------------------------------------

    def _decided(
        self, request: HttpRequest, rule: Rule, told: str, decide: Callable[[], None]
    ) -> HttpResponse:
        try:
            decide()
        except CannotDecide as error:
            return self._back(request, rule, str(error), messages.WARNING)
        self.log_change(request, rule, told)
        return self._back(request, rule, told, messages.SUCCESS)

    def _back(self, request: HttpRequest, rule: Rule, told: str, level: int) -> HttpResponse:
        self.message_user(request, told, level)
        return HttpResponseRedirect(self.url("try", rule.pk))


def _in_words(rule: Rule) -> str:
    return _("“%(rule)s”: %(does)s") % {"rule": rule, "does": sentence(rule)}


def _facts(rule: Rule, waiting: SwitchRequest, *, is_ready: bool) -> Iterator[str]:
    yield _in_words(rule)
    when = date_format(localtime(waiting.asked_at), "DATETIME_FORMAT")
    yield _("Asked for by %(name)s, %(when)s") % {"name": waiting.asker, "when": when}
    if is_ready:
        past = past_of(rule)
        yield past.told()
        yield past.looked()


def _texts(rule: Rule) -> Iterator[SafeString]:
    """The template, and each text that the rule fills in."""
    yield format_html("{}", rule.template)
    labels = labels_of(rule.template)
    texts = rule.texts if isinstance(rule.texts, dict) else {}
    for field, words in texts.items():
        yield format_html("<b>{}</b> {}", labels.get(field, field), words)


@source
def rules_to_approve(site: AdminSite, request: HttpRequest) -> Iterator[Waiting]:
    """Those of the accounts that this member of staff may use, for who may see rules."""
    if not site.is_registered(Rule):
        return
    rules: Any = site.get_model_admin(Rule)
    if not rules.has_view_permission(request):
        return
    seen = rules.get_queryset(request).values("pk")
    waiting = SwitchRequest.objects.filter(decision="", rule__in=seen).select_related("rule")
    for one in waiting.order_by("pk")[:LISTED]:
        name = "admin:wechat_notify_rules_rule_approve"
        yield Waiting(
            what=_("Switch on the rule “%s”") % one.rule_name,
            url=reverse(name, args=[one.rule_id], current_app=site.name),
            asker=one.asker,
            asked_at=one.asked_at,
            is_own=bool(why_not(one, request.user)),
        )
