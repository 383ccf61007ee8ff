"""What the page shows while somebody types: the card, and what is wrong with each value."""

from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ...const_values import warnings
from ...exceptions import InvalidData
from ...wechat import fields as template_fields
from ...wechat.text import count
from ...wechat.values import to_text
from ..people import shown_name
from .draft import Composing
from .form import ComposeForm


def preview(form: ComposeForm) -> dict[str, Any]:
    """For the page's script: ``card`` (HTML), ``person`` (whose card it is, or empty) and
    ``fields``, which has ``error``, ``warning`` and ``count`` of each value.

    ``form`` holds what has been typed so far; nothing of it need be valid.
    """
    composing, typed = form.composing, form.typed()
    data = composing.personal(typed)
    person = _person(form) if data.personal_fields else ""
    try:
        made, wrong = data.for_person(person), data.problems
    except InvalidData as error:
        made, wrong = typed, {problem.field: problem.message for problem in error.problems}
    values = {field.name: to_text(made[field.name], field.type) for field in composing.fields}
    return {
        "card": str(composing.card(values, *form.link())),
        "person": _("As %s sees it") % shown_name(person) if person else "",
        "fields": _said(composing, values, wrong),
    }


def _person(form: ComposeForm) -> Any:
    """Somebody who would get it; the person at the keyboard while there is nobody."""
    form.full_clean()
    audience = form.cleaned_data.get("audience")
    found = audience.somebody() if audience is not None else None
    return found if found is not None else form.composing.request.user


def _said(
    composing: Composing, values: dict[str, str], wrong: dict[str, str]
) -> dict[str, dict[str, Any]]:
    found = warnings(composing.template, values, composing.learned)
    doubts = {problem.field: problem.message for problem in found}
    said = {}
    for field in composing.fields:
        text = values[field.name]
        error = wrong.get(field.name) or template_fields.check(field, text) or ""
        said[field.name] = {
            "error": capfirst(error),
            "warning": "" if error else capfirst(doubts.get(field.name, "")),
            "count": count(text),
        }
    return said
