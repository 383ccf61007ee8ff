"""The form in which a rule is written: from inputs to a rule, and from a rule to its inputs."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ...models import Notification, RecipientFilter
from ...placeholders import PersonalData, usable_names
from ...wechat import fields as template_fields
from ...wechat.naming import to_keys, words_of
from ..conditions import condition_of
from ..event import Event
from ..models import Rule
from ..sentence import entries
from ..whom import LARGEST_KEY
from .condition_rows import as_test, row_name, rows_data
from .rule_inputs import LONGEST, OBJECT_LINK, TEMPLATE_LINK, TEXT, RuleInputs
from .span_and_value import span_data
from .writing import template_of

WRITTEN = (
    "name",
    "model",
    "event",
    "field",
    "value",
    "offset",
    "clock",
    "grace",
    "conditions",
    "recipients",
    "template",
    "texts",
    "link",
    "delay",
    "priority",
    "most_a_day",
)
"""The columns that the form fills in."""

JSON = ("conditions", "recipients", "texts")
"""What only the rule itself can check, in words for a person."""
SPANS = ("offset", "grace", "delay")


class RuleForm(RuleInputs):
    """A whole rule. Once it ``is_valid()``, ``rule()`` is what was written."""

    @cached_property
    def checked(self) -> "RuleForm":
        """This form with what is wrong; it is the form itself, unless that is only shown."""
        return self if self.is_bound else RuleForm(self.writing, self.given, checked=True)

    def problems(self) -> dict[str, str]:
        """What is wrong, by input and by row of conditions; ``__all__`` for the form as a whole."""
        found = {name: " ".join(map(str, said)) for name, said in self.checked.errors.items()}
        rows = {row_name(number): said for number, said in self.checked.row_errors.items()}
        return {**found, **rows}

    def is_complete(self) -> bool:
        """Whether it can be said what the rule does: whatever it is called."""
        return not self.problems().keys() - {"name"}

    def rule(self) -> Rule:
        """The rule as far as it is filled in: not saved, but with the key of the saved one."""
        found, before = self._cleaned(), self.writing.rule
        kept = {one.attname: getattr(before, one.attname) for one in Rule._meta.concrete_fields}
        rule = Rule(**kept)
        rule._state.adding = before._state.adding
        rule.name = found.get("name", "")
        rule.model = self.allowed.label if self.allowed is not None else ""
        rule.event = found.get("event", "")
        rule.field = found.get("field", "")
        rule.value = found.get("value", "")
        rule.offset = found.get("offset") or timedelta(0)
        rule.clock = found.get("clock")
        rule.grace = found.get("grace") or Rule._meta.get_field("grace").default
        rule.delay = found.get("delay") or timedelta(0)
        tests = [as_test(row) for row in self.rows if row["field"]]
        rule.conditions = {"match": found.get("match") or "all", "tests": tests}
        rule.recipients = [*_recipients(found), *self._unseen()]
        rule.template = self.chosen_template  # type: ignore[assignment]  # None while it is written
        rule.texts = self._texts()
        rule.link = found.get("link") != TEMPLATE_LINK
        rule.priority = found.get("priority") or Notification.Priority.NORMAL
        rule.most_a_day = found.get("most_a_day")
        return rule

    def _cleaned(self) -> dict[str, Any]:
        """What is filled in well."""
        checked = self.checked
        return checked.cleaned_data if checked.errors is not None else {}

    def _unseen(self) -> Iterator[dict[str, Any]]:
        """Groups and saved recipients of the rule that are not offered to this member of staff, and
        so cannot be taken away by them. What is gone is left out."""
        account = self.chosen_template.account if self.chosen_template is not None else ""
        saved = RecipientFilter.objects.filter(account=account)
        for kind, name, every in (
            ("group", "groups", Group.objects.all()),
            ("saved", "saved", saved),
        ):
            field: Any = self.fields.get(name)
            chosen = [one[kind] for one in entries(self.writing.rule.recipients) if kind in one]
            pks = [pk for pk in chosen if isinstance(pk, int) and 0 < pk <= LARGEST_KEY]
            if field is not None and pks:
                offered = set(field.queryset.filter(pk__in=pks).values_list("pk", flat=True))
                hidden = every.filter(pk__in=set(pks) - offered).order_by("pk")
                yield from ({kind: row.pk} for row in hidden)

    def _texts(self) -> dict[str, str]:
        """By the site's own words where the template has them: they outlive the template."""
        words = (
            words_of(self.chosen_template.field_names) if self.chosen_template is not None else {}
        )
        names = (field.name for field in self.text_fields())
        # As it was typed, right or wrong: the card shows it either way.
        typed = {name: self.given.get(TEXT + name, "").strip()[:LONGEST] for name in names}
        return {words.get(name, name): text for name, text in typed.items()}

    # -- what is wrong --------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        self._clean_rows()
        self._clean_texts(given)
        if self.allowed is None or self.chosen_template is None or "event" in self.errors:
            return given
        try:
            # A name that another rule has is found by this, too.
            wrong = {name for name in WRITTEN if name in self.errors}
            self.rule().full_clean(exclude={*wrong, *JSON, "created_by"})
        except ValidationError as error:
            for name, problems in error.update_error_dict({}).items():
                self._refuse(name, problems)
        return given

    def _clean_rows(self) -> None:
        """Says in each row what is wrong with it."""
        self.row_errors = {}
        for number, row in enumerate(self.rows):
            if not row["field"]:
                self.row_errors[number] = _("Choose a field, or remove this condition.")
            elif self.allowed is not None:
                try:
                    condition_of(as_test(row), self.allowed)
                except ValidationError as error:
                    self.row_errors[number] = " ".join(error.messages)
        if self.row_errors:
            self.add_error(None, _("Not every condition is right."))

    def _clean_texts(self, given: dict[str, Any]) -> None:
        """Says at each text what is wrong with it, as far as it is the same for everybody."""
        every = self.allowed.fields.values() if self.allowed is not None else ()
        typed = {one.name: given.get(TEXT + one.name, "") for one in self.text_fields()}
        data = PersonalData(typed, usable_names(), others=[one.placeholder for one in every])
        for field in self.text_fields():
            name, text = TEXT + field.name, typed[field.name]
            wrong = data.problems.get(field.name)
            if wrong is None and "{{" not in text:
                wrong = template_fields.check(field, text)
            if wrong and name not in self.errors:
                self.add_error(name, capfirst(wrong))

    def _refuse(self, column: str, problems: list[ValidationError]) -> None:
        """What is wrong with a column of the rule, beside its input."""
        name = "paths" if column == "recipients" else column
        if name == "conditions" and self.row_errors:
            return  # said in the rows
        if name == "texts" and any(one.startswith(TEXT) for one in self.errors):
            return  # said at the texts
        self.add_error(name if name in self.fields else None, problems)


def _recipients(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The recipients as a rule keeps them."""
    for path in found.get("paths") or ():
        yield {"path": path}
    for kind, name in (("group", "groups"), ("saved", "saved")):
        for row in found.get(name) or ():
            yield {kind: row.pk}


def form_data(rule: Rule) -> QueryDict:
    """What the form would send for this rule."""
    data = QueryDict(mutable=True)
    template = template_of(rule)
    conditions = rule.conditions if isinstance(rule.conditions, dict) else {}
    plain = {
        "name": rule.name,
        "model": rule.model,
        "event": rule.event or Event.CREATED.value,
        "field": rule.field,
        "value": rule.value,
        "clock": rule.clock.strftime("%H:%M") if rule.clock else "",
        "match": str(conditions.get("match", "all")),
        "template": str(template.pk) if template is not None else "",
        "link": OBJECT_LINK if rule.link else TEMPLATE_LINK,
        "priority": str(int(rule.priority)),
        "most_a_day": str(rule.most_a_day or ""),
        **rows_data(entries(conditions.get("tests"))),
    }
    for name in SPANS:
        plain |= span_data(name, getattr(rule, name))
    if template is not None:
        texts = rule.texts if isinstance(rule.texts, dict) else {}
        by_key = to_keys(texts, template.field_names)
        plain |= {TEXT + key: str(text) for key, text in by_key.items()}
    data.update(plain)
    for kind, name in (("path", "paths"), ("group", "groups"), ("saved", "saved")):
        data.setlist(name, [str(one[kind]) for one in entries(rule.recipients) if kind in one])
    return data
