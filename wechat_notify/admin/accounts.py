"""Choosing an account: one of the configured aliases, and only when a row is made."""

from typing import Any

from django import forms
from django.db.models import Field
from django.http import HttpRequest

from ..conf import settings
from .base import BaseAdmin


def account_field(label: Any, help_text: Any = "") -> forms.ChoiceField:
    """A form field that offers the configured aliases."""
    aliases = settings.aliases
    return forms.ChoiceField(
        label=label,
        help_text=help_text,
        choices=[(alias, alias) for alias in aliases],
        initial=aliases[0] if aliases else None,
    )


class AccountChoicesMixin(BaseAdmin):
    def formfield_for_dbfield(
        self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "account":
            return account_field(db_field.verbose_name, db_field.help_text)
        return super().formfield_for_dbfield(db_field, request, **kwargs)
