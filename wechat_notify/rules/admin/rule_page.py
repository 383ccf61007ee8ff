"""The page on which a rule is written, and what its script asks for."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.utils.translation import gettext as _

from ...admin.base import BaseAdmin, Button, page
from ...admin.parts.frame import admin_page
from .. import second_person
from ..models import Rule
from ..sentence import sentence
from .checking import answer, page_context, stepped
from .history import differences
from .past import past_of
from .rule_form import WRITTEN, RuleForm, form_data
from .states import OFF, state_badge, state_of
from .writing import Writing

SAVE, SAVE_AND_TRY = "_save", "_save_and_try"


class WriteMixin(BaseAdmin):
    """Adding and changing a rule on one page. Who may not change it sees it there."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        buttons = super().object_buttons(request, obj)
        buttons.append(Button(_("History"), self.url("history", obj.pk)))
        if self.has_delete_permission(request, obj):
            buttons.append(Button(_("Delete"), self.url("delete", obj.pk)))
        return buttons

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Django's name for the page that adds or changes a row."""
        rule = self.find(request, object_id) if object_id is not None else Rule()
        may_change = self._may_write(request, rule)
        if not may_change and (request.method == "POST" or object_id is None):
            raise PermissionDenied
        writing = Writing(self.admin_site, request, rule)
        given, _focus = stepped(request.POST if request.method == "POST" else form_data(rule))
        saves = SAVE in request.POST or SAVE_AND_TRY in request.POST
        form = RuleForm(writing, given, checked=saves)
        if saves and form.is_valid():
            return self._save(request, form)
        return self._shown(request, form, may_change=may_change)

    @page("check/", "check")
    def _check_view(self, request: HttpRequest) -> HttpResponse:
        """What the page is told while somebody fills it in. It changes nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        pk = request.POST.get("rule", "")
        rule = self.find(request, pk) if pk else Rule()
        if not self._may_write(request, rule):
            raise PermissionDenied
        given, focus = stepped(request.POST)
        form = RuleForm(Writing(self.admin_site, request, rule), given, checked=True)
        return JsonResponse(answer(form, request.POST, focus))

    def _may_write(self, request: HttpRequest, rule: Rule) -> bool:
        if rule._state.adding:
            return self.has_add_permission(request)
        return self.has_change_permission(request, rule)

    def _shown(self, request: HttpRequest, form: RuleForm, *, may_change: bool) -> HttpResponse:
        rule = form.writing.rule
        if not may_change:
            form.disable()
        return admin_page(
            self,
            request,
            "rules/form.html",
            title=rule.name if rule.pk else _("Add a rule"),
            may_change=may_change,
            state=state_badge(rule) if rule.pk else "",
            original=rule,
            buttons=self.object_buttons(request, rule) if rule.pk else [],
            check_url=self.url("check"),
            **page_context(form),
        )

    def _save(self, request: HttpRequest, form: RuleForm) -> HttpResponse:
        before, rule = form.writing.rule, form.rule()
        is_new, is_off_now = rule._state.adding, False
        with transaction.atomic():
            if is_new:
                rule.created_by = request.user  # type: ignore[assignment]  # admin_view's own
                rule.save()
                self.log_addition(request, rule, sentence(rule))
            else:
                # Not its state: somebody may have switched it since it was read.
                rule.stopped_because = ""
                seen = second_person.fingerprint(before)
                rule.save(update_fields=[*WRITTEN, "stopped_because", "updated_at"])
                self.log_change(request, rule, differences(before, rule))
                is_off_now = second_person.note_change(
                    rule, request.user, seen, lambda: past_of(rule).messages
                )
        told = _("“%s” is saved.") % rule
        if is_off_now:
            told = (
                _(
                    "“%s” is saved, and off: it can tell many people, and a second person approves "
                    "the change before it is on again."
                )
                % rule
            )
            self.log_change(request, rule, _("Off until a second person approves the change."))
        elif state_of(rule) == OFF:
            told = _("“%s” is saved. It does nothing until it is switched on.") % rule
        self.message_user(request, told, messages.SUCCESS)
        tries = SAVE_AND_TRY in request.POST
        return HttpResponseRedirect(self.url("try", rule.pk) if tries else self.url("changelist"))
