"""Accounts are settings, not rows: how a form offers them, and how the admin's log names them."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db.models import Field
from django.http import HttpRequest

from ...names import account_name
from ..base import BaseAdmin
from ..permissions import allowed_accounts


def account_field(label: Any, aliases: Sequence[str]) -> forms.ChoiceField:
    """A form field that offers the accounts of these aliases, by name."""
    return forms.ChoiceField(
        label=label,
        choices=[(alias, account_name(alias)) for alias in aliases],
        initial=aliases[0] if aliases else None,
    )


def accounts_field(label: Any, aliases: Sequence[str]) -> forms.MultipleChoiceField:
    """A form field that offers the accounts of these aliases; any number may be ticked."""
    return forms.MultipleChoiceField(
        label=label,
        choices=[(alias, account_name(alias)) for alias in aliases],
        initial=list(aliases),
        widget=forms.CheckboxSelectMultiple,
    )


def log_account_change(
    model_admin: BaseAdmin, request: HttpRequest, account: str, message: str
) -> None:
    """Write an entry in the admin's log that names the account. It has no link."""
    LogEntry.objects.create(
        user=request.user,  # type: ignore[misc]  # admin_view lets in nobody else
        content_type=ContentType.objects.get_for_model(model_admin.model),
        object_repr=account_name(account),
        action_flag=CHANGE,
        change_message=message,
    )


class NameOnAccountForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    """A form of rows whose name is unique within an account."""

    name_taken: Any

    def clean_name(self) -> str:
        """Django does not check this itself: the account of an existing row is no input."""
        name: str = self.cleaned_data["name"]
        row = self.instance
        same = type(row)._default_manager.filter(account=row.account, name=name)
        if row.pk is not None and same.exclude(pk=row.pk).exists():
            raise ValidationError(self.name_taken)
        return name


class AccountChoicesMixin(BaseAdmin):
    """Offers the allowed accounts when a row is added."""

    def formfield_for_dbfield(
        self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "account":
            aliases = allowed_accounts(self.admin_site, request)
            return account_field(db_field.verbose_name, aliases)
        return super().formfield_for_dbfield(db_field, request, **kwargs)
