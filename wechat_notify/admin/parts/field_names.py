"""Inputs for a template's field names: one beside each field, with a proposal where there is none.

What is stored is one mapping, ``field_names``; the browser sends one input for each field.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ... import declarations
from ...models import MessageTemplate
from ...proposals import propose_names
from ...wechat.fields import Field
from ...wechat.naming import words_of
from .cards import example_data

PREFIX = "field_name_"
UNUSED = "field_names_unused"
_SEPARATORS = re.compile(r"[\s,，、]+")


class _Line(NamedTuple):
    field: Field
    example: str
    input_name: str
    word: str
    proposed: bool


class FieldNamesWidget(forms.Widget):
    """A table of the fields, with an input for the name of each."""

    def __init__(self, template: MessageTemplate) -> None:
        super().__init__()
        self.template = template

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[tuple[str, str]]:
        """(name, key) pairs as they were typed, so that a name that comes twice is not lost."""
        typed = [
            (data.get(PREFIX + field.name, "").strip(), field.name)
            for field in self.template.fields
        ]
        unused = [(word, "") for word in _SEPARATORS.split(data.get(UNUSED, "")) if word]
        return [(word, key) for word, key in typed if word] + unused

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return UNUSED not in data

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        pairs = list(value.items()) if isinstance(value, Mapping) else list(value or ())
        return render_to_string(
            "wechat_notify/admin/template_names.html",
            {
                "lines": list(self._lines(pairs)),
                "unused_name": UNUSED,
                "unused": ", ".join(word for word, key in pairs if not key),
                "proposed": not pairs and bool(self._proposals()),
            },
        )

    def _lines(self, pairs: list[tuple[str, str]]) -> Iterator[_Line]:
        words = {key: word for word, key in pairs if key}
        proposals = {} if pairs else words_of(self._proposals())
        examples = example_data(self.template)
        for field in self.template.fields:
            word = words.get(field.name, "")
            shown = word or proposals.get(field.name, "")
            yield _Line(field, examples[field.name], PREFIX + field.name, shown, shown != word)

    def _proposals(self) -> dict[str, str]:
        declared = declarations.fields_of(self.template.name, self.template.account)
        return propose_names(declared or (), self.template.fields)


class FieldNamesField(forms.Field):
    """The mapping, from the pairs that the widget found."""

    widget: FieldNamesWidget

    def __init__(self, template: MessageTemplate) -> None:
        super().__init__(label=_("Fields"), required=False, widget=FieldNamesWidget(template))
        self.template = template

    def clean(self, value: list[tuple[str, str]]) -> dict[str, str]:
        names = dict(value)
        twice = sorted({word for word, key in value if names[word] != key})
        problems = [_("%(name)s stands at more than one field.") % {"name": word} for word in twice]
        problems += [str(problem) for problem in self.template.name_problems(names)]
        if problems:
            raise ValidationError(problems)
        return names

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(dict(data or ()) != (initial or {}))
