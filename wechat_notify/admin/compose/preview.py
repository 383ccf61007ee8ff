"""What the page shows while somebody types: the card, and what is wrong with each value."""

from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ...exceptions import InvalidData
from ...placeholders import PersonalData
from ...wechat import fields as template_fields
from ...wechat.text import count
from ...wechat.values import to_text
from ..parts.people import shown_name
from .composed import Composing
from .const_values import warnings
from .form import ComposeForm


def preview(form: ComposeForm) -> dict[str, Any]:
    """For the page's script: ``card`` (HTML), ``title`` (what it is called if none is typed),
    ``person`` (whose card it is, or "") and ``fields``, with ``error``, ``warning`` and ``count``
    of each value.

    ``form`` holds what has been typed so far; it need not be valid.
    """
    composing, typed = form.composing, form.typed()
    data, person = _whose(form, typed)
    try:
        made, wrong = data.for_person(person), data.problems
    except InvalidData as error:
        made, wrong = typed, {problem.field: problem.message for problem in error.problems}
    values = {field.name: to_text(made[field.name], field.type) for field in composing.fields}
    return {
        "card": str(composing.card(values, *form.link())),
        "title": composing.title(data),
        "person": _("As %s sees it") % shown_name(person) if person else "",
        "fields": _said(composing, values, wrong),
    }


def _whose(form: ComposeForm, typed: dict[str, str]) -> tuple[PersonalData, Any]:
    """The values, and a recipient: the user who composes while there is none; "" if it is all the
    same."""
    composing = form.composing
    has_own = form.has_table or form.earlier_choice() is not None
    if not has_own and not composing.personal(typed).personal_fields:
        return composing.personal(typed), ""
    checked = form if form.is_bound else ComposeForm(composing, form.given)
    checked.full_clean()
    given = checked.cleaned_data
    kept = checked.kept if given.get("earlier") is not None else None
    data = composing.personal(typed, given.get("table"), kept).with_sample()
    audience = given.get("audience")
    found = audience.first_user() if audience is not None else None
    is_personal = bool(data.personal_fields)
    return data, (found or composing.request.user) if is_personal else ""


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
