"""The form: one input for each field of the template, where a tap leads, to whom, and when."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms import BoundField
from django.http import QueryDict
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ...delivery.content import complete, link_problems
from ...types import MiniProgram
from ...wechat import fields as template_fields
from .draft import VALUE, Composing, Message
from .inputs import MomentField, ValueField
from .recipients import RecipientsForm

NOW, LATER = "now", "later"


class ComposeForm(RecipientsForm):
    """A whole message. ``message`` is what was composed, once ``is_valid()``."""

    url = forms.CharField(
        label=_("Link"),
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "url"}),
        help_text=_(
            "A tap on the message opens it. Empty: the template's own link, if it has one."
        ),
    )
    miniprogram_appid = forms.CharField(
        label=_("Mini program appid"),
        required=False,
        help_text=_("WeChat prefers the mini program where there is a link too."),
    )
    miniprogram_pagepath = forms.CharField(label=_("Mini program page"), required=False)
    when = forms.ChoiceField(
        label=_("When"),
        choices=[(NOW, _("Now")), (LATER, _("At a time"))],
        initial=NOW,
        widget=forms.RadioSelect,
    )
    send_at = MomentField(label=_("Send at"), required=False)
    expires_at = MomentField(
        label=_("Not later than"),
        required=False,
        help_text=_("What has not been sent by then is not sent at all."),
    )

    def __init__(self, composing: Composing, data: QueryDict | None = None) -> None:
        super().__init__(composing, data)
        for field in composing.fields:
            self.fields[VALUE + field.name] = ValueField(composing, field)
        template = composing.template
        self.fields["url"].widget.attrs["placeholder"] = template.url
        self.fields["miniprogram_appid"].widget.attrs["placeholder"] = template.miniprogram_appid

    @classmethod
    def unchecked(cls, composing: Composing, data: QueryDict) -> "ComposeForm":
        """The form as far as it is filled in, without a word about what is wrong or missing."""
        form = cls(composing)
        for name, field in form.fields.items():
            if name in data:
                form.initial[name] = field.widget.value_from_datadict(data, {}, name)
        return form

    def values(self) -> Iterator[BoundField]:
        """The inputs of the message's own fields."""
        return (self[VALUE + field.name] for field in self.composing.fields)

    def typed(self) -> dict[str, str]:
        """What stands in these inputs, checked or not, by the template's field names."""
        return {
            bound.name.removeprefix(VALUE): str(bound.value() or "").strip()
            for bound in self.values()
        }

    def link(self) -> tuple[str, MiniProgram | None]:
        """Where a tap would lead, checked or not."""
        url, appid, page = (
            str(self[name].value() or "").strip()
            for name in ("url", "miniprogram_appid", "miniprogram_pagepath")
        )
        return url, {"appid": appid, "pagepath": page} if appid else None

    @property
    def message(self) -> Message:
        """What was composed. Only of a form that is valid."""
        given = self.cleaned_data
        return Message(
            self.composing,
            given["data"],
            given["audience"],
            given["url"],
            given["miniprogram"],
            given["send_at"],
            given["expires_at"],
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        self._clean_values(given)
        self._clean_link(given)
        self._clean_times(given)
        return given

    def _clean_values(self, given: dict[str, Any]) -> None:
        typed = {field.name: given.get(VALUE + field.name, "") for field in self.composing.fields}
        given["data"] = data = self.composing.personal(typed)
        for field in self.composing.fields:
            name = VALUE + field.name
            wrong = data.problems.get(field.name)
            if wrong is None and field.name not in data.personal_fields:
                wrong = template_fields.check(field, typed[field.name])
            if wrong and name not in self.errors:
                self.add_error(name, capfirst(wrong))

    def _clean_link(self, given: dict[str, Any]) -> None:
        appid = given.get("miniprogram_appid", "")
        page = given.get("miniprogram_pagepath", "")
        given["miniprogram"] = complete({"appid": appid, "pagepath": page}) if appid else None
        if page and not appid:
            self.add_error("miniprogram_appid", _("A page needs the mini program it is in."))
        for problem in link_problems(given.get("url", ""), given["miniprogram"]):
            self.add_error("url", capfirst(problem.message))

    def _clean_times(self, given: dict[str, Any]) -> None:
        if given.get("when") != LATER:
            given["send_at"] = None
        elif not given.get("send_at") and "send_at" not in self.errors:
            self.add_error("send_at", _("Say when it is to be sent."))
        for name in ("send_at", "expires_at"):
            moment = given.get(name)
            if moment is not None and moment <= timezone.now():
                self.add_error(name, _("This time is over."))
        send_at, expires_at = given.get("send_at"), given.get("expires_at")
        if send_at and expires_at and expires_at <= send_at:
            self.add_error("expires_at", _("This is before it would be sent."))
