"""Saved recipients: what was chosen, who that is now, and a button to write to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...models import RecipientFilter
from ..base import BaseAdmin, Button
from ..compose.audience import Audience
from ..compose.button import compose_buttons
from ..compose.choosable import People, described
from ..compose.criteria import audience
from ..compose.recipients_form import saved_criteria
from ..parts.account_choices import NameOnAccountForm
from ..parts.filters import AccountFilter
from ..parts.people import CreatorMixin, shown_openid
from ..parts.remedies import to_invite_saved
from ..permissions import may_see_openids

NAMED = 50


@dataclass(frozen=True, slots=True)
class Meant:
    """Who saved recipients are now, as far as the member of staff may see users.

    ``count`` messages would be sent; the first people and openids come by name.
    """

    count: int
    people: Sequence[dict[str, str]]
    openids: Sequence[str]
    more: int


class SavedForm(NameOnAccountForm):
    name_taken = gettext_lazy("Other recipients are saved under this name.")


class RecipientFilterAdmin(CreatorMixin, BaseAdmin):
    """Saved while composing a message; here they are looked at, renamed and deleted."""

    form = SavedForm
    empty_text = gettext_lazy(
        "No saved recipients yet. Choose recipients while composing a message, and save them there."
    )
    list_display = ("name", "chosen", "account_name", "creator", "created_at")
    list_filter = (AccountFilter,)
    list_select_related = ("created_by",)
    search_fields = ("name",)
    ordering = ("account", "name")
    fields = ("name", "account_name", "chosen", "meant", "creator", "created_at")
    readonly_fields = ("account_name", "chosen", "meant", "creator", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [*compose_buttons(self.admin_site, request), *super().list_buttons(request)]

    def object_buttons(self, request: HttpRequest, obj: RecipientFilter) -> list[Button]:
        return [
            *compose_buttons(self.admin_site, request, f"?filters={obj.pk}"),
            *to_invite_saved(self.admin_site, request, obj),
            *super().object_buttons(request, obj),
        ]

    def first_steps(self, request: HttpRequest) -> list[Button]:
        return compose_buttons(self.admin_site, request)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        # Depends on the user, and a field of the page knows no request.
        saved: Any = context["original"]
        saved.shown = self._shown(request, saved)
        return super().render_change_form(request, context, *args, **kwargs)

    def _shown(self, request: HttpRequest, saved: RecipientFilter) -> Meant | None:
        """None if a list that people were chosen on cannot be read."""
        people = People(self.admin_site, request)
        try:
            found = audience(saved.account, people, [saved_criteria(saved)])
        except LookupError:
            return None
        return _meant(found, whole=may_see_openids(request))

    @admin.display(description=gettext_lazy("chosen"))
    def chosen(self, obj: RecipientFilter) -> str:
        return " · ".join(saved_criteria(obj).summary())

    @admin.display(description=gettext_lazy("whom it means now"))
    def meant(self, obj: Any) -> SafeString:
        if obj.shown is None:
            text = _("The list that people were chosen on cannot be read.")
            return format_html("{}", text)
        return render_to_string("wechat_notify/admin/saved_recipients.html", {"meant": obj.shown})


def _meant(found: Audience, *, whole: bool) -> Meant:
    total = found.users.count()
    users = found.users.order_by("pk")[:NAMED]
    openids = [shown_openid(openid, whole=whole) for openid in found.openids[:NAMED]]
    return Meant(
        count=found.count(),
        people=described(users, found.account),
        openids=openids,
        more=max(0, total - NAMED) + max(0, len(found.openids) - NAMED),
    )
