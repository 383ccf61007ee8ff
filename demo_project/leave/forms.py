from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from .models import Leave

MINUTES = "%Y-%m-%dT%H:%M"


class LeaveForm(forms.ModelForm):
    class Meta:
        model = Leave
        fields = ["kind", "start", "end", "reason"]
        widgets = {
            name: forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTES)
            for name in ("start", "end")
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and end <= start:
            self.add_error("end", _("Must be later than the beginning."))
        return cleaned
