"""Saving recipients under a name, for the next message."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ...models import RecipientFilter
from .recipients_form import RecipientsForm


class SavingForm(RecipientsForm):
    """The recipients of a message that is still being composed, and the name to save them under."""

    saved_as = forms.CharField(
        label=_("Name"),
        max_length=RecipientFilter._meta.get_field("name").max_length,
        error_messages={"required": _("Give these recipients a name.")},
    )

    def clean(self) -> dict[str, Any] | None:
        given = super().clean()
        if given and given.get("filters"):
            text = _(
                "Untick the saved recipients: they cannot become part of other saved recipients."
            )
            self.add_error("filters", text)
        return given

    def save(self) -> tuple[RecipientFilter, bool]:
        """The recipients of this name, and whether they are new. Existing ones are not replaced."""
        return RecipientFilter.objects.get_or_create(
            account=self.composing.template.account,
            name=self.cleaned_data["saved_as"],
            defaults={
                "criteria": self.cleaned_data["criteria"].as_json(),
                "created_by_id": self.composing.request.user.pk,
            },
        )
