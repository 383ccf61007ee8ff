"""Trying a rule: on one real object, and on what happened in the last 30 days. Nothing is sent."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy

from ...admin.base import BaseAdmin, Button, page
from ...admin.parts.frame import admin_page
from ...admin.parts.links import list_url
from ...admin.permissions import may_see_users
from ..models import Firing, Rule
from ..sentence import sentence_html
from .looking import look
from .past import past_of
from .states import problems_of, state_badge
from .writing import Writing

TITLE = gettext_lazy("Try it")


class TryMixin(BaseAdmin):
    """The page, and its button on a rule's page."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        buttons = [Button(TITLE, self.url("try", obj.pk)), *super().object_buttons(request, obj)]
        firings = list_url(self.admin_site, Firing, rule__id__exact=obj.pk)
        if firings and request.user.has_perm("wechat_notify_rules.view_firing"):
            buttons.append(Button(gettext_lazy("What it did"), firings))
        return buttons

    @page("<path:object_id>/try/", "try")
    def _try_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rule: Rule = self.find(request, object_id)
        writing, problems = Writing(self.admin_site, request, rule), problems_of(rule)
        looked = look(writing, rule, request.GET.get("object", ""), is_complete=not problems)
        return admin_page(
            self,
            request,
            "rules/try.html",
            title=rule.name,
            rule=rule,
            state=state_badge(rule),
            sentence=sentence_html(rule),
            looked=looked,
            problems=problems,
            past=self._past(writing) if "past" in request.GET and not problems else "",
            past_url=self.url("past", rule.pk),
            buttons=self._try_buttons(request, rule),
        )

    @page("<path:object_id>/past/", "past")
    def _past_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """For the page's script: it takes seconds where there are many objects."""
        rule: Rule = self.find(request, object_id)
        html = "<div></div>"
        if not problems_of(rule):
            html = self._past(Writing(self.admin_site, request, rule))
        return JsonResponse({"html": html, "again": None})

    def _past(self, writing: Writing) -> str:
        """What the rule would have sent; by name for those who may see objects and users."""
        sees_objects = writing.model(writing.rule.model) is not None
        context = {
            "past": past_of(writing.rule),
            "named": sees_objects and may_see_users(self.admin_site, writing.request),
        }
        return render_to_string("wechat_notify/admin/rules/past.html", context)

    def _try_buttons(self, request: HttpRequest, rule: Rule) -> list[Button]:
        change = Button(gettext_lazy("Change it"), self.url("change", rule.pk))
        own = self.url("try", rule.pk)
        others = [one for one in self.object_buttons(request, rule) if one.url != own]
        return [change, *others]
