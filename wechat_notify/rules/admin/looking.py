"""A rule beside one real object: whether it matches, who would get what, and the card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ...admin.compose.composed import Composing
from ...admin.parts.people import shown_name
from ...admin.permissions import may_see_users
from ...exceptions import InvalidData
from ...models import MessageTemplate
from ...placeholders import PersonalData, usable_names
from ...wechat import fields as template_fields
from ...wechat.fields import NOT_SHOWN
from ...wechat.naming import words_of
from ...wechat.values import to_text
from ..allowed import Allowed
from ..language import site_language
from ..models import Rule
from ..object_values import shown_value
from ..outcome import Outcome, first_match, outcome
from .writing import Writing, template_of

NAMED = 10
"""So many people are listed by name."""


@dataclass(slots=True)
class Looked:
    """What a page shows of it. ``unknown`` says why it cannot be told whether the rule matches.

    ``is_chosen``: somebody has chosen the object.

    ``values`` and ``problems`` are by the template's fields: what the card shows, and what is wrong
    with a text. ``people`` have ``name``, ``data`` by the fields' labels, and ``problem``.
    ``placeholders``: what may be inserted into texts, by group.
    """

    model: Allowed | None
    objects: list[Any] = field(default_factory=list)
    object: Any = None
    is_chosen: bool = False
    unknown: str = ""
    why_not: str = ""
    people: list[dict[str, Any]] = field(default_factory=list)
    people_count: int = 0
    placeholders: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    card: SafeString | str = ""
    person: str = ""

    @property
    def more(self) -> int:
        """How many people are not listed."""
        return self.people_count - len(self.people)


def look(writing: Writing, rule: Rule, pk: str, *, is_complete: bool) -> Looked:
    """``pk``: of the object; where it is none, the newest that matches, or else the newest. A rule
    that is not complete only has a card."""
    model = writing.model(rule.model)
    if model is None:
        return Looked(None, unknown=_("Choose what it is about, to see whom it tells."))
    objects, chosen_one = writing.objects(model), writing.object(model, pk)
    if chosen_one is not None and chosen_one not in objects:
        objects = [chosen_one, *objects]
    found, chosen = _object(chosen_one, objects, rule if is_complete else None)
    looked = Looked(model, objects, found, chosen, placeholders=_placeholders(model))
    told = None
    if found is None:
        looked.unknown = _("There is no %s yet to try it on.") % model.name
    elif not is_complete:
        looked.unknown = _("Fill in the rest, to see whom it tells.")
    else:
        told = outcome(rule, found)
        looked.why_not = told.why_not
        _name_people(looked, writing, rule, told)
    if template_of(rule) is not None:
        _draw(looked, writing, rule, told)
    return looked


def _object(chosen: Any, newest: list[Any], rule: Rule | None) -> tuple[Any, bool]:
    """The object to look at, and whether it was chosen."""
    if chosen is not None:
        return chosen, True
    matching = first_match(rule, newest) if rule is not None else None
    return matching or (newest[0] if newest else None), False


def _placeholders(model: Allowed) -> list[tuple[str, dict[str, str]]]:
    """What may stand between {{ and }} in a text, with its label, in two groups."""
    return [
        (
            _("Insert from the %s") % model.name,
            {one.placeholder: one.label for one in model.fields.values()},
        ),
        (
            _("Insert from the recipient"),
            {f"user.{name}": label for name, label in usable_names().items()},
        ),
    ]


def _name_people(looked: Looked, writing: Writing, rule: Rule, told: Outcome) -> None:
    """Names and texts are for those who may see users; the others see how many there are."""
    looked.people_count = told.people_count
    if may_see_users(writing.site, writing.request):
        labels = labels_of(rule.template)
        looked.people = [
            {"name": one.name, "data": labelled(one.data, labels), "problem": one.problem}
            for one in told.people[:NAMED]
        ]


def labels_of(template: MessageTemplate) -> dict[str, str]:
    """The label of each field of the template, by its key and by the site's name."""
    words = words_of(template.field_names)
    labels = {one.name: one.label or one.name for one in template.fields}
    return {**labels, **{words[key]: label for key, label in labels.items() if key in words}}


def labelled(data: Any, labels: Mapping[str, str]) -> dict[str, str]:
    """A person's data by the labels that people know."""
    given = data if isinstance(data, Mapping) else {}
    return {labels.get(name, name): str(value) for name, value in given.items()}


def _draw(looked: Looked, writing: Writing, rule: Rule, told: Outcome | None) -> None:
    """The card as the first of the people sees it, or as the writer would."""
    composing = Composing(writing.site, writing.request, rule.template)
    words = words_of(rule.template.field_names)
    texts = rule.texts if isinstance(rule.texts, dict) else {}
    typed = {
        one.name: str(texts.get(words.get(one.name, one.name), texts.get(one.name, "")))
        for one in rule.template.fields
        if one.name not in NOT_SHOWN
    }
    data = PersonalData(typed, usable_names(), others=_names_of(looked.model))
    first = told.people[0].user if told is not None and looked.people else writing.request.user
    with site_language():  # as it is sent, whoever looks at it
        if looked.object is not None and looked.model is not None:
            data = data.about(_reader(looked.model, looked.object))
        try:
            made, looked.problems = data.for_person(first), dict(data.problems)
        except InvalidData as error:
            made = typed
            looked.problems = {problem.field: problem.message for problem in error.problems}
    types = {one.name: one for one in rule.template.fields}
    looked.values = {name: to_text(made[name], types[name].type) for name in typed}
    for name, text in looked.values.items():
        wrong = looked.problems.get(name) or template_fields.check(types[name], text)
        if wrong:
            looked.problems[name] = capfirst(wrong)
    looked.card = composing.card(looked.values, told.url if told is not None else "", None)
    looked.person = _("As %s sees it") % shown_name(first) if data.personal_fields else ""


def _names_of(model: Allowed | None) -> list[str]:
    return [one.placeholder for one in model.fields.values()] if model is not None else []


def _reader(model: Allowed, instance: Model) -> Any:
    fields = {one.placeholder: one for one in model.fields.values()}
    return lambda name: shown_value(fields[name], instance)
