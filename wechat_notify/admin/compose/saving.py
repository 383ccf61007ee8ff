"""Keeping recipients under a name, for the next message."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ...models import RecipientFilter
from .draft import Composing
from .recipients import SEE_SAVED, RecipientsForm

SAVE = "wechat_notify.add_recipientfilter"


def may_save(composing: Composing) -> bool:
    """Whether this member of staff may keep recipients, and would find them again."""
    return composing.request.user.has_perms([SAVE, SEE_SAVED])


class SavingForm(RecipientsForm):
    """The recipients of a message that is still being composed, and the name to keep them under."""

    saved_as = forms.CharField(
        label=_("Name"),
        max_length=RecipientFilter._meta.get_field("name").max_length,
        error_messages={"required": _("Give these recipients a name.")},
    )

    def clean(self) -> dict[str, Any] | None:
        given = super().clean()
        if given and given.get("filters"):
            text = _("Untick the saved recipients: what is saved cannot be made of what was saved.")
            self.add_error("filters", text)
        return given

    def save(self) -> tuple[RecipientFilter, bool]:
        """What is kept under this name, and whether it is this: a name is never taken over."""
        return RecipientFilter.objects.get_or_create(
            account=self.composing.template.account,
            name=self.cleaned_data["saved_as"],
            defaults={
                "criteria": self.cleaned_data["criteria"].as_json(),
                "created_by_id": self.composing.request.user.pk,
            },
        )
