"""Saved recipients: what was chosen, whom it means now, and the way to write to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..delivery.audience import Audience
from ..models import RecipientFilter
from .accounts import NameOnAccountForm
from .base import BaseAdmin, Button, may_see_openids
from .compose.criteria import audience
from .compose.links import TITLE, can_compose_here, compose_url
from .compose.people import People, described
from .compose.recipients import saved_criteria
from .filters import AccountFilter
from .people import shown_openid

NAMED = 50


@dataclass(frozen=True, slots=True)
class Meant:
    """Whom saved recipients mean to the member of staff who looks at them.

    ``count`` messages would be sent; the first people and openids come by name.
    """

    count: int
    people: Sequence[dict[str, str]]
    openids: Sequence[str]
    more: int


class SavedForm(NameOnAccountForm):
    name_taken = gettext_lazy("Other recipients are saved under this name.")


@admin.register(RecipientFilter)
class RecipientFilterAdmin(BaseAdmin):
    """Put together while composing a message; here they are looked at, renamed and deleted."""

    form = SavedForm
    list_display = ("name", "chosen", "account", "created_by", "created_at")
    list_filter = (AccountFilter,)
    list_select_related = ("created_by",)
    search_fields = ("name",)
    ordering = ("account", "name")
    fields = ("name", "account", "chosen", "meant", "created_by", "created_at")
    readonly_fields = ("account", "chosen", "meant", "created_by", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [*self._compose(request), *super().list_buttons(request)]

    def object_buttons(self, request: HttpRequest, obj: RecipientFilter) -> list[Button]:
        return [
            *self._compose(request, f"?filters={obj.pk}"),
            *super().object_buttons(request, obj),
        ]

    def _compose(self, request: HttpRequest, query: str = "") -> list[Button]:
        if not can_compose_here(self.admin_site, request):
            return []
        return [Button(TITLE, compose_url(self.admin_site) + query)]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> RecipientFilter | None:
        """With whom it means to whoever asks; the page's field has no request to ask with."""
        found: Any = super().get_object(request, object_id, from_field)
        if found is not None:
            found.shown = self._shown(request, found)
        return found  # type: ignore[no-any-return]

    def _shown(self, request: HttpRequest, saved: RecipientFilter) -> Meant | None:
        """None where a list that people were chosen on cannot be read."""
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
        return render_to_string("wechat_notify/admin/meant.html", {"meant": obj.shown})


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
