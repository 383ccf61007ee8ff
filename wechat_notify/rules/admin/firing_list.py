"""What rules did: each firing, what it was about, and what went to whom or would have gone."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...admin.base import ReadOnlyMixin
from ...admin.parts.badges import badge
from ...admin.parts.links import link, object_link, object_url
from ...admin.permissions import narrowed
from ..allowed import allowed_for
from ..models import Firing, Rule
from .looking import labelled, labels_of
from .who_may import visible_objects


class RuleFilter(admin.RelatedFieldListFilter):
    """By rule. Offers the rules of allowed accounts."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: Any
    ) -> list[tuple[str, Any]]:
        rules = narrowed(
            model_admin.admin_site, request, Rule.objects.order_by("name"), "template__account"
        )
        return [(str(rule.pk), str(rule)) for rule in rules]


class FiringAdmin(ReadOnlyMixin):
    account_lookup = "rule__template__account"
    list_display = ("fired_at", "rule_link", "about", "result", "people")
    list_display_links = ("fired_at",)
    list_filter = (("rule", RuleFilter), "is_dry_run", "fired_at")
    search_fields = ("rule_name", "object_text", "=object_id")
    fields = ("rule_link", "about", "fired_at", "result", "notification_link", "would_list")
    readonly_fields = fields

    class Media:
        css = {"all": ("wechat_notify_rules/rules.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("rule__template", "notification__template")
        return super().get_queryset(request).select_related(*related)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        firing: Any = context["original"]
        firing.object_link = self._object_link(request, firing)
        return super().render_change_form(request, context, *args, **kwargs)

    def _object_link(self, request: HttpRequest, firing: Firing) -> SafeString:
        """A link to the object's own page, for whoever may see it there."""
        plain = format_html("{}", firing.object_text)
        try:
            model = allowed_for(firing.rule.model if firing.rule is not None else "").model
            rows = visible_objects(self.admin_site, request, model)
            found = rows.filter(pk=firing.object_id).first()
        except (LookupError, TypeError, ValueError):
            return plain
        return plain if found is None else link(object_url(self.admin_site, found), plain)

    @admin.display(description=_("rule"), ordering="rule_name")
    def rule_link(self, obj: Firing) -> SafeString:
        if obj.rule is None:
            deleted = _("{rule} (deleted)")
            return format_html(str(deleted), rule=obj.rule_name)
        return object_link(self.admin_site, obj.rule)

    @admin.display(description=_("about"), ordering="object_text")
    def about(self, obj: Any) -> SafeString:
        shown: SafeString = getattr(obj, "object_link", format_html("{}", obj.object_text))
        return shown

    @admin.display(description=_("result"))
    def result(self, obj: Firing) -> SafeString:
        if obj.is_dry_run:
            label = badge(_("dry run"), "waiting")
        elif obj.notification_id is not None:
            label = badge(_("sent"), "accepted")
        else:
            label = badge(_("nothing sent"), "quiet")
        return format_html("{} {}", label, obj.reason) if obj.reason else label

    @admin.display(description=_("notification"))
    def notification_link(self, obj: Firing) -> SafeString:
        if obj.notification is None:
            return format_html("{}", "-")
        return object_link(self.admin_site, obj.notification)

    @admin.display(description=_("what would have been sent"))
    def would_list(self, obj: Firing) -> SafeString:
        if not obj.is_dry_run:
            return format_html("{}", gettext("It was no dry run."))
        labels = labels_of(obj.rule.template) if obj.rule is not None else {}
        people = [{**one, "data": labelled(one.get("data"), labels)} for one in obj.would]
        context = {"people": people, "more": obj.people - len(people)}
        return render_to_string("wechat_notify/admin/rules/would_people.html", context)
