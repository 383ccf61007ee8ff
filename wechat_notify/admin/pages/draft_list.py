"""Drafts: one's own, and for who may see them those of others; each opens where it is composed."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ...models import Draft
from ..base import BaseAdmin, Button
from ..compose.button import compose_buttons
from ..compose.drafts import draft_url, visible_drafts
from ..parts.filters import AccountFilter
from ..parts.links import delete_url
from ..parts.people import CreatorMixin
from ..permissions import can_compose_here, may_delete_others_drafts, may_see_others_drafts


class DraftAdmin(CreatorMixin, BaseAdmin):
    """Saved while composing; here they are found again and deleted. Opening one goes on with it."""

    empty_text = _("No drafts. What you compose can be saved as a draft at any moment.")
    list_display = (
        "__str__",
        "on_template",
        "account_name",
        "creator",
        "updated_at",
        "delete_link",
    )
    list_filter = (AccountFilter,)
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("title", "template__title")
    ordering = ("-updated_at", "-pk")
    sortable_by = ("updated_at",)

    fields = ("title", "on_template", "account_name", "creator", "created_at", "updated_at")
    readonly_fields = ("on_template", "account_name", "creator")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible_drafts(self.admin_site, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Draft | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Draft | None = None) -> bool:
        return can_compose_here(self.admin_site, request) or may_see_others_drafts(request)

    def has_delete_permission(self, request: HttpRequest, obj: Draft | None = None) -> bool:
        if obj is not None and obj.created_by_id != request.user.pk:
            return may_delete_others_drafts(request)
        return can_compose_here(self.admin_site, request)

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [*compose_buttons(self.admin_site, request), *super().list_buttons(request)]

    def first_steps(self, request: HttpRequest) -> list[Button]:
        return compose_buttons(self.admin_site, request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Goes on composing; who may only see drafts gets Django's page."""
        if not can_compose_here(self.admin_site, request):
            return super().change_view(request, object_id, form_url, extra_context)
        draft = self.find(request, object_id)
        return HttpResponseRedirect(draft_url(self.admin_site, draft))

    @admin.display(description=_("template"))
    def on_template(self, obj: Draft) -> str:
        """The template; a dash where it is gone."""
        return "-" if obj.template is None else str(obj.template)

    @admin.display(description="")
    def delete_link(self, obj: Draft) -> SafeString:
        """Leads to the page that asks."""
        url = delete_url(self.admin_site, obj)
        label = _("Delete the draft “%s”") % obj
        return format_html('<a href="{}" aria-label="{}">{}</a>', url, label, _("Delete"))
