"""An input for one user, who is found by typing."""

from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from .filters import NUMBER
from .people import shown_name

FOUND = 20
"""How many people are found at a time."""


class PersonField(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in its stubs only
    def label_from_instance(self, obj: Any) -> str:
        return shown_name(obj)


class PersonSelect(AutocompleteSelect):
    """Django's autocomplete, with a page of the app's own that finds people.

    Django's page finds what the site's admin of users searches, and there may be none. ``page``:
    the URL name after "wechat_notify_"; its view answers with ``found_people()``.
    """

    def __init__(
        self, field: "Field[Any, Any]", admin_site: AdminSite, page: str, **options: Any
    ) -> None:
        super().__init__(field, admin_site, **options)
        self.url_name = f"%s:wechat_notify_{page}"

    def build_attrs(
        self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        # Without it a screen reader finds no name for the empty input.
        return {**attrs, "data-placeholder": _("A name, a user name or an e-mail address")}


def found_people(users: QuerySet[Any], request: HttpRequest) -> dict[str, Any]:
    """What the widget's script reads: a page of ``users``, and whether there are more."""
    number = request.GET.get("page", "1")
    start = FOUND * max(0, int(number) - 1) if NUMBER.fullmatch(number) else 0
    found = list(users.order_by("pk")[start : start + FOUND + 1])
    return {
        "results": [{"id": str(user.pk), "text": shown_name(user)} for user in found[:FOUND]],
        "pagination": {"more": len(found) > FOUND},
    }
