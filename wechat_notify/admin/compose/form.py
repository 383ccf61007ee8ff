"""The form: a value for each field of the template, the link, the recipients, and the time."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django import forms
from django.forms import BoundField
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ...dry_run import link_problems, with_scheme
from ...models import TITLE_LENGTH, Notification, as_title
from ...placeholders import has_placeholders
from ...types import MiniProgram
from ...wechat import fields as template_fields
from .composed import VALUE, Composed, Composing
from .earlier_values import EarlierValues, KeptValues
from .inputs import MomentField, ValueField, check_moments
from .recipients_form import RecipientsForm

NOW, LATER = "now", "later"


class ComposeForm(RecipientsForm):
    """A whole message. Once it ``is_valid()``, ``composed`` is what was composed."""

    title = forms.CharField(
        label=_("Title"),
        required=False,
        max_length=TITLE_LENGTH,
        help_text=_(
            "For finding this message again: recipients do not see it. Empty: the first values "
            "that everybody gets."
        ),
    )
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
    priority = forms.TypedChoiceField(
        label=_("Priority"),
        required=False,
        choices=[
            ("", _("By the number of recipients")),
            *((value, capfirst(label)) for value, label in Notification.Priority.choices),
        ],
        coerce=lambda value: Notification.Priority(int(value)),
        empty_value=None,
        help_text=_(
            "Urgent messages are sent first, bulk messages last. By the number of recipients: "
            "bulk for more than 100, otherwise normal."
        ),
    )
    expires_at = MomentField(
        label=_("Not later than"),
        required=False,
        help_text=_("What has not been sent by then is not sent at all."),
    )
    # Chosen on the last page, which shows whom it leaves out. The form forgets it.
    leave_out = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, composing: Composing, data: QueryDict | None = None) -> None:
        super().__init__(composing, data)
        self.given = data if data is not None else QueryDict()
        for field in composing.fields:
            self.fields[VALUE + field.name] = ValueField(composing, field)
        template = composing.template
        self.fields["url"].widget.attrs["placeholder"] = template.url
        self.fields["miniprogram_appid"].widget.attrs["placeholder"] = template.miniprogram_appid

    @classmethod
    def unchecked(cls, composing: Composing, data: QueryDict) -> "ComposeForm":
        """The form with what is filled in so far, without errors."""
        form = cls(composing)
        form.given = data
        # A link to this page may say what the site's code says: ?value_order_no=…
        for name, key in composing.template.field_names.items():
            if VALUE + name in data and VALUE + key in form.fields:
                form.initial[VALUE + key] = data[VALUE + name]
        for name, field in form.fields.items():
            if name in data:
                form.initial[name] = field.widget.value_from_datadict(data, {}, name)
        return form

    def values(self) -> Iterator[BoundField]:
        """The inputs of the message's own fields."""
        kept = self.kept.fields if self.kept is not None else frozenset()
        for field in self.composing.fields:
            bound = self[VALUE + field.name]
            if field.name in kept:
                bound.field.widget.attrs.pop("placeholder", None)
                own = _("Empty: each person’s own, as before.")
                bound.help_text = f"{own} {bound.field.help_text}"
            yield bound

    @cached_property
    def kept(self) -> KeptValues | None:
        """What people of an earlier notification got, also if the form is invalid."""
        people = self.earlier_people
        if people is None:
            return None
        return KeptValues(EarlierValues(people.notification, self.composing.template), people)

    def typed(self) -> dict[str, str]:
        """What was typed into these inputs, by field name, checked or not."""
        return {
            bound.name.removeprefix(VALUE): str(bound.value() or "").strip()
            for bound in self.values()
        }

    @property
    def has_table(self) -> bool:
        """Whether a table was given, checked or not."""
        return bool((self["table"].value() or "").strip())

    def link(self) -> tuple[str, MiniProgram | None]:
        """Where a tap would lead, checked or not."""
        url, appid, page = (
            str(self[name].value() or "").strip()
            for name in ("url", "miniprogram_appid", "miniprogram_pagepath")
        )
        return url, {"appid": appid, "pagepath": page} if appid else None

    @property
    def composed(self) -> Composed:
        """What was composed. Only of a form that is valid."""
        given = self.cleaned_data
        return Composed(
            composing=self.composing,
            data=given["data"],
            audience=given["audience"],
            criteria=given["criteria"],
            title=as_title(given["title"]) or self.composing.title(given["data"]),
            url=given["url"],
            miniprogram=given["miniprogram"],
            send_at=given["send_at"],
            expires_at=given["expires_at"],
            priority=given["priority"],
            leave_out=given["leave_out"],
            table=given["table"],
            earlier=given["earlier"],
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        self._clean_values(given)
        self._clean_link(given)
        self._clean_times(given)
        return given

    def _clean_values(self, given: dict[str, Any]) -> None:
        typed = {field.name: given.get(VALUE + field.name, "") for field in self.composing.fields}
        table = given.get("table")
        kept = self.kept if given.get("earlier") is not None else None
        given["data"] = data = self.composing.personal(typed, table, kept)
        # What the table or the earlier message may give everybody can be left empty here.
        optional = {*(table.fields if table else ()), *(kept.fields if kept else ())}
        for field in self.composing.fields:
            name, text = VALUE + field.name, typed[field.name]
            wrong = data.problems.get(field.name)
            is_shared = not has_placeholders(text) and (text or field.name not in optional)
            if wrong is None and is_shared:
                wrong = template_fields.check(field, text)
            if wrong and name not in self.errors:
                self.add_error(name, capfirst(wrong))

    def _clean_link(self, given: dict[str, Any]) -> None:
        appid = given.get("miniprogram_appid", "")
        page = given.get("miniprogram_pagepath", "")
        given["miniprogram"] = {"appid": appid, "pagepath": page} if appid else None
        if page and not appid:
            self.add_error("miniprogram_appid", _("A page needs the mini program it is in."))
        given["url"] = with_scheme(given.get("url", ""))
        for problem in link_problems(given["url"], given["miniprogram"]):
            self.add_error("url", capfirst(problem.message))

    def _clean_times(self, given: dict[str, Any]) -> None:
        if given.get("when") != LATER:
            given["send_at"] = None
        elif not given.get("send_at") and "send_at" not in self.errors:
            self.add_error("send_at", _("Enter the time of sending."))
        check_moments(self, given)
