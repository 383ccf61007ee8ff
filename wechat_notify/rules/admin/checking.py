"""What the page says while a rule is written: the sentence, the card, who would get it, what is
wrong with each input, and the inputs that depend on what was chosen."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.http import QueryDict
from django.template.loader import render_to_string

from ...wechat.text import count
from ..conditions import MOST
from ..sentence import sentence_html
from .condition_rows import Row, rows_data, rows_in
from .looking import Looked, look
from .rule_form import RuleForm
from .rule_inputs import TEXT

ADD_ROW, REMOVE_ROW = "_add_test", "_remove_test"
NEW_ROW: Row = {"field": "", "op": "is", "value": ""}
ADD_BUTTON = "wechat-add-test"


def stepped(given: QueryDict) -> tuple[QueryDict, str]:
    """What is filled in, with a row of conditions more or less if its button was pressed, and the
    id of the element that the keyboard goes on from then."""
    rows, focus = rows_in(given), ""
    if ADD_ROW in given and len(rows) < MOST:
        focus = f"id_test-{len(rows)}-field"
        rows.append(NEW_ROW)
    elif REMOVE_ROW in given:
        focus = ADD_BUTTON
        rows = [row for number, row in enumerate(rows) if str(number) != given[REMOVE_ROW]]
    else:
        return given, ""
    changed = given.copy()
    changed.update(dict.fromkeys(rows_data(rows), ""))
    for name, value in rows_data(rows).items():
        changed[name] = value
    return changed, focus


def shapes(form: RuleForm) -> dict[str, str]:
    """What the inputs of each part of the page depend on: if it is the same, so are they."""
    model, given = form.given.get("model", ""), form.given
    account = form.chosen_template.account if form.chosen_template is not None else ""
    rows = [f"{row['field']}:{row['op']}" for row in form.rows]
    return {
        "event": "|".join((model, given.get("event", ""), given.get("field", ""))),
        "conditions": "|".join((model, *rows)),
        "recipients": "|".join((model, account)),
        "message": "|".join((model, given.get("template", ""))),
        "objects": model,
    }


def page_context(form: RuleForm) -> dict[str, Any]:
    """What the templates of the page and of its parts need."""
    rule = form.rule()
    looked = look(form.writing, rule, form.given.get("object", ""), is_complete=form.is_complete())
    return {
        "form": form,
        "looked": looked,
        "sentence": sentence_html(rule),
        "shapes": shapes(form),
        "add_button": ADD_BUTTON,
        "placeholders": looked.placeholders,
    }


def answer(form: RuleForm, shown: Mapping[str, str], focus: str = "") -> dict[str, Any]:
    """For the page's script. ``shown``: the shapes of the parts that the page has now.

    What is wrong is not in the parts: the script says it where somebody has been already.
    """
    drawn = RuleForm(form.writing, form.given, checked=False)
    context = {**page_context(form), "form": drawn, "may_change": True}
    return {
        "focus": focus,
        "parts": {
            name: {"shape": shape, "html": _rendered(f"part_{name}", context)}
            for name, shape in context["shapes"].items()
            if shown.get(f"shape_{name}") != shape
        },
        "shown": {
            "sentence": context["sentence"],
            "card": context["looked"].card,
            "person": context["looked"].person,
            "would": _rendered("would", context),
        },
        "said": dict(_said(form, context["looked"])),
    }


def _rendered(name: str, context: dict[str, Any]) -> str:
    return render_to_string(f"wechat_notify/admin/rules/{name}.html", context)


def _said(form: RuleForm, looked: Looked) -> Iterator[tuple[str, dict[str, Any]]]:
    errors = form.problems()
    for name in form.fields:
        said: dict[str, Any] = {"error": errors.get(name, "")}
        if name.startswith(TEXT):
            field = name.removeprefix(TEXT)
            # For this object only: others may have shorter values.
            said["warning"] = looked.problems.get(field, "")
            said["count"] = count(looked.values.get(field, ""))
        yield name, said
    for row in form.conditions():
        yield row.name, {"error": errors.get(row.name, "")}
