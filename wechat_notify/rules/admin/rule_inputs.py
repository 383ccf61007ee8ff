"""The inputs in which a rule is written. Which there are depends on what is filled in so far."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.forms import BoundField
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...admin.compose.recipients_form import GroupsField, SavedField
from ...admin.parts.filters import NUMBER
from ...models import MessageTemplate, Notification
from ...wechat.fields import NOT_SHOWN, Field
from ..allowed import Allowed
from ..event import REMINDERS, Event
from ..kinds import Kind
from ..models import Rule
from .condition_rows import ConditionForm, ConditionRow, rows_in
from .span_and_value import SpanField, ValueField
from .writing import Writing

TEXT = "text_"
OBJECT_LINK, TEMPLATE_LINK = "object", "template"
LONGEST = 1_000
MATCHES = [("all", _("all of them are true")), ("any", _("one of them is true"))]


class RuleInputs(forms.Form):
    """``given`` is what is filled in. With ``checked`` what is wrong is said; without it the form
    only shows what is filled in so far."""

    is_disabled = False
    row_errors: Mapping[int, str] = {}
    """What is wrong with each row of conditions, by its number."""

    name = forms.CharField(label=_("Name"), max_length=Rule._meta.get_field("name").max_length)
    model = forms.ChoiceField(label=_("What it is about"))
    event = forms.ChoiceField(label=_("What happens"), choices=Event.choices)
    match = forms.ChoiceField(
        label=_("If"), choices=MATCHES, required=False, widget=forms.RadioSelect
    )
    paths = forms.MultipleChoiceField(label="", required=False, widget=forms.CheckboxSelectMultiple)
    template = forms.ModelChoiceField(MessageTemplate.objects.none(), label=_("Template"))
    link = forms.ChoiceField(
        label=_("Link"),
        required=False,
        choices=[
            (OBJECT_LINK, _("to the object")),
            (TEMPLATE_LINK, _("where the template leads")),
        ],
        widget=forms.RadioSelect,
    )
    priority = forms.TypedChoiceField(
        label=_("Priority"),
        choices=[(value, capfirst(label)) for value, label in Notification.Priority.choices],
        coerce=int,
        help_text=_("Urgent messages are sent first, bulk messages last."),
    )
    most_a_day = forms.IntegerField(
        label=_("At most so many a day for one person"),
        required=False,
        min_value=1,
        max_value=1_000,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
        help_text=_("Empty: any number."),
    )

    def __init__(self, writing: Writing, given: QueryDict, *, checked: bool) -> None:
        super().__init__(given if checked else None)
        self.writing, self.given = writing, given
        self.allowed: Allowed | None = writing.model(given.get("model", ""))
        self.chosen_template = self._find_template()
        self.rows = rows_in(given)
        self._offer_models()
        self._offer_event()
        self._offer_recipients()
        for field in self.text_fields():
            self.fields[TEXT + field.name] = _text_field(field)
        if not checked:
            self.initial["link"] = OBJECT_LINK
            for name, one in self.fields.items():
                self.initial[name] = one.widget.value_from_datadict(given, {}, name)
                if self.initial[name] is None:
                    self.initial.pop(name)

    # -- what there is to choose from -----------------------------------------------------------

    def _find_template(self) -> MessageTemplate | None:
        pk = self.given.get("template", "")
        if not NUMBER.fullmatch(pk):
            return None
        return self.writing.templates.filter(pk=pk).first()

    def _offer_models(self) -> None:
        models: Any = self.fields["model"]
        blank = [("", "---------")]
        models.choices = blank + [(one.label, capfirst(one.name)) for one in self.writing.models]
        templates: Any = self.fields["template"]
        templates.queryset = self.writing.templates
        templates.label_from_instance = _template_label

    def _offer_event(self) -> None:
        event, every = self.given.get("event", ""), self.allowed.fields if self.allowed else {}
        if event == Event.CREATED:
            self._add_delay()
            return
        kinds = (Kind.DATE, Kind.DATETIME) if event in REMINDERS else tuple(Kind)
        fields = [one for one in every.values() if one.is_own and one.kind in kinds]
        self.fields["field"] = forms.ChoiceField(
            label=_("Date") if event in REMINDERS else _("Field"),
            choices=[("", "---------"), *((one.path, one.label) for one in fields)],
        )
        chosen = every.get(self.given.get("field", ""))
        if event in REMINDERS:
            self.fields["offset"] = SpanField(
                label=_("How long before") if event == Event.BEFORE else _("How long after")
            )
            if chosen is not None and chosen.kind == Kind.DATE:
                clock = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
                self.fields["clock"] = forms.TimeField(label=_("At what time"), widget=clock)
            self.fields["grace"] = SpanField(
                label=_("Send late by at most"),
                help_text=_("A reminder that was missed by more than this is not sent."),
            )
            return
        if chosen is not None:
            self.fields["value"] = ValueField(
                chosen,
                given=self.given.get("value", ""),
                related=self.writing.related(chosen),
                empty=_("any change"),
                label=_("New value"),
                help_text=_("Empty: any change."),
            )
        self._add_delay()

    def _add_delay(self) -> None:
        self.fields["delay"] = SpanField(
            label=_("Wait before sending"), help_text=_("Empty or 0: it is sent at once.")
        )

    def _offer_recipients(self) -> None:
        paths: Any = self.fields["paths"]
        every = self.allowed.recipients.values() if self.allowed else ()
        paths.choices = [(one.path, one.label) for one in every]
        if self.allowed is not None:
            paths.label = gettext("People of the %s") % self.allowed.name
        groups = self.writing.groups()
        if groups is not None:
            self.fields["groups"] = GroupsField(
                groups, label=_("Groups"), required=False, widget=forms.CheckboxSelectMultiple
            )
        account = self.chosen_template.account if self.chosen_template is not None else ""
        self.fields["saved"] = SavedField(
            self.writing.saved(account),
            label=_("Saved recipients"),
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )

    def disable(self) -> None:
        """For whoever may only look at it."""
        self.is_disabled = True
        for field in self.fields.values():
            field.disabled = True

    # -- for the page ---------------------------------------------------------------------------

    def text_fields(self) -> Iterator[Field]:
        """The template's fields that have a text; WeChat no longer shows some."""
        every = self.chosen_template.fields if self.chosen_template is not None else ()
        return (field for field in every if field.name not in NOT_SHOWN)

    def texts(self) -> Iterator[BoundField]:
        """The inputs of these texts."""
        return (self[TEXT + field.name] for field in self.text_fields())

    def conditions(self) -> list[ConditionRow]:
        """The rows, with what is wrong with each of a checked form."""
        wrong = self.row_errors if self.is_bound else {}
        made = []
        for number, row in enumerate(self.rows):
            form = ConditionForm(self.allowed, row, number, self.writing.related)
            for field in form.fields.values():
                field.disabled = self.is_disabled
            made.append(ConditionRow(number, form, wrong.get(number, "")))
        return made

    def inputs(self, *names: str) -> list[BoundField]:
        """Those of these inputs that the form has."""
        return [self[name] for name in names if name in self.fields]


def _template_label(template: MessageTemplate) -> str:
    return f"{template} ({template.name})"


def _text_field(field: Field) -> forms.CharField:
    """One text of the message. The rule checks it, because it knows what is a placeholder."""
    rule = field.rule
    name = f"id_{TEXT}{field.name}"
    attributes = {
        "autocomplete": "off",
        "aria-describedby": f"{name}_said {name}_helptext",
        "data-rule-text": "",
    }
    made = forms.CharField(
        label=field.label or field.name,
        required=False,
        max_length=LONGEST,
        help_text=capfirst(rule.message) if rule is not None else "",
        widget=forms.TextInput(attrs=attributes),
    )
    made.widget.attrs.pop("maxlength", None)  # which cuts pasted text off silently
    made.limit = rule.limit if rule is not None else None  # type: ignore[attr-defined]
    return made
