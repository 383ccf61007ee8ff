"""Switching a rule on, to dry run, or off: a page that says what that means, and a POST."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...admin.base import BaseAdmin, Button, page
from ...admin.parts.approvers import who_can_approve
from ...admin.parts.confirmation import Confirmation, ask, is_confirmed
from ...admin.parts.explanations import why_paused
from ...wechat.errors import Words
from .. import second_person
from ..models import Rule
from ..sentence import sentence
from .past import Past, past_of
from .states import DRY_RUN, LABELS, OFF, ON, STOPPED, problems_of, state_of
from .who_may import may_switch_rules

MANY = 100
"""More messages than this a month get a warning of their own."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One of the three positions: what the button says, and what is told afterwards."""

    label: Words
    told: Words
    is_active: bool
    dry_run: bool


SWITCHES = {
    ON: Switch(
        gettext_lazy("Switch on"), gettext_lazy("“%s” is on."), is_active=True, dry_run=False
    ),
    DRY_RUN: Switch(
        gettext_lazy("Switch to dry run"),
        gettext_lazy("“%s” is in dry run: it records what it would send, and sends nothing."),
        is_active=True,
        dry_run=True,
    ),
    OFF: Switch(
        gettext_lazy("Switch off"), gettext_lazy("“%s” is off."), is_active=False, dry_run=False
    ),
}


class SwitchMixin(BaseAdmin):
    """The buttons on a rule's pages, and the page behind them."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        buttons = super().object_buttons(request, obj)
        if not may_switch_rules(request):
            return buttons
        return buttons + [
            Button(switch.label, self.url("switch", obj.pk, name))
            for name, switch in SWITCHES.items()
            if name != state_of(obj) and not (name == ON and second_person.open_request(obj))
        ]

    @page("<path:object_id>/switch/<slug:name>/", "switch")
    def _switch_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        rule: Rule = self.find(request, object_id, allowed=may_switch_rules(request))
        if name not in SWITCHES:
            raise Http404
        back = self.url("try", rule.pk)
        problems = [] if name == OFF else problems_of(rule)
        if is_confirmed(request) and not problems:
            self._answered(request, rule, name)
            return HttpResponseRedirect(back)
        past = past_of(rule) if name != OFF and not problems else None
        held = name == ON and past is not None and _needs_approval(rule, past)
        switch = SWITCHES[name]
        confirmation = Confirmation(
            title=switch.label,
            button=_("Ask for approval") if held else switch.label,
            back=back,
            facts=[_rule_in_words(rule), *_facts(name, past)],
            warnings=[
                *(self._about_approval(request, rule) if held else ()),
                *_warnings(rule, name, past),
            ],
            items_title=gettext_lazy("What is wrong with it") if problems else "",
            items=problems,
            obstacle=_("It cannot be switched on like this. Change it first.") if problems else "",
        )
        return ask(self, request, confirmation)

    def _about_approval(self, request: HttpRequest, rule: Rule) -> Iterator[str]:
        yield _("It can tell many people. A second person approves it before it is on.")
        yield who_can_approve(self.admin_site, request, rule.template.account)

    def _answered(self, request: HttpRequest, rule: Rule, name: str) -> None:
        """Switch it, or ask for approval where that takes a second person."""
        if name != ON or not _needs_approval(rule):
            self._switch(request, rule, name)
        elif second_person.ask(rule, request.user):
            self.log_change(request, rule, _("Asked for approval to switch it on."))
            told = _("“%s” waits for approval. It is not on before that.") % rule
            self.message_user(request, told, messages.SUCCESS)
            told = who_can_approve(self.admin_site, request, rule.template.account)
            self.message_user(request, told, messages.INFO)
        else:
            told = _("Somebody has asked for approval already.")
            self.message_user(request, told, messages.WARNING)

    def _switch(self, request: HttpRequest, rule: Rule, name: str) -> None:
        before, switch = LABELS[state_of(rule)], SWITCHES[name]
        second_person.withdraw(rule, request.user)
        rule.is_active, rule.dry_run = switch.is_active, switch.dry_run
        rule.stopped_because = ""
        rule.save(update_fields=["is_active", "dry_run", "stopped_because", "updated_at"])
        words = {"before": before, "after": LABELS[name]}
        self.log_change(request, rule, _("State: %(before)s → %(after)s") % words)
        self.message_user(request, str(switch.told) % rule, messages.SUCCESS)


def _needs_approval(rule: Rule, past: Past | None = None) -> bool:
    return second_person.needs_approval(rule, lambda: (past or past_of(rule)).messages)


def _rule_in_words(rule: Rule) -> str:
    return _("“%(rule)s”: %(does)s") % {"rule": rule, "does": sentence(rule)}


def _facts(name: str, past: Past | None) -> Iterator[str]:
    if name == OFF:
        yield _("It does nothing more from then on. What it has sent already is not called back.")
        yield _("Messages that it has asked for and that still wait are sent all the same.")
        return
    if name == DRY_RUN:
        yield _("It records what it would send to whom, and sends nothing.")
    if past is None:
        return
    yield past.told()
    yield past.looked()


def _warnings(rule: Rule, name: str, past: Past | None) -> Iterator[str]:
    if name == OFF:
        return
    if name == ON and past is not None and past.messages > MANY:
        yield _("That is many messages. Are they all meant to be sent?")
    if state_of(rule) == STOPPED:
        yield _("It was stopped: %s") % rule.stopped_because
    if why := why_paused(rule.template):
        yield _("This template is paused, its messages wait: %s") % why
