"""The site's own words for a template's keys: ``{"order_no": "character_string1"}``.

A *name* is the site's word for a field, a *key* is WeChat's; a *label* below is either of them. A
name with an empty key is accepted and not sent: this template has no field for it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from django.utils.translation import gettext as _

from ..exceptions import Problem
from .fields import NOT_SHOWN, Field, parse, type_of
from .text import CONTROL
from .values import normalise, plain_text

Names: TypeAlias = Mapping[str, str]
"""From the site's name of each field to WeChat's key, or to "" where there is no field for it."""

LONGEST_NAME = 64

_NAME = re.compile(r"\w+")
_KEY = re.compile(r"[A-Za-z0-9_]+")


class Named(Protocol):
    """What data was written for, or is sent with: a template, or a revision of one."""

    template_id: str
    content: str
    field_names: dict[str, str]


def words_of(names: Names) -> dict[str, str]:
    """The name of each key that has one."""
    return {key: name for name, key in names.items() if key}


def mapping_problems(names: object, fields: Sequence[Field]) -> list[Problem]:
    """Everything that is wrong with names for a template that has these ``fields``.

    Without ``fields`` (the content is not known), keys are only checked to be keys.
    """
    if not isinstance(names, Mapping):
        return [Problem("field_names", _("must be a mapping of names to WeChat’s keys"), names)]
    known = {field.name for field in fields}
    uses = Counter(key for key in names.values() if key)
    found = []
    for name, key in names.items():
        problem = _name_problem(name, key, known) or _key_problem(key, known)
        if problem is None and uses[key] > 1:
            others = ", ".join(sorted(n for n, k in names.items() if k == key and n != name))
            problem = _("stands for the same field as %(others)s") % {"others": others}
        if problem is not None:
            found.append(Problem(str(name), problem, key, other_name=str(key or "")))
    return found


def _name_problem(name: object, key: object, known: set[str]) -> str | None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return _("is no name: at most %d letters, digits and _") % LONGEST_NAME
    if name in NOT_SHOWN:
        return _("is WeChat’s own word for a line that it no longer shows")
    if name in known and key != name:
        return _("is also a key of this template, and would mean another field")
    return None


def _key_problem(key: object, known: set[str]) -> str | None:
    if key == "":
        return None
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return _("stands for no key of WeChat’s")
    if known and key not in known:
        return _("stands for %(key)s, which this template does not have") % {"key": key}
    return None


def normalise_named(
    fields: Sequence[Field], names: Names, data: object, *, trim: bool = False
) -> tuple[dict[str, dict[str, str]], list[Problem]]:
    """As ``values.normalise()``, for data that has names, keys or both.

    Returns the data by name where a field has one, and the problems in the caller's own words.
    """
    if not names or not isinstance(data, Mapping):
        return normalise(fields, data, trim=trim)
    keyed: dict[Any, Any] = {}
    given_as: dict[Any, str] = {}
    unused: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    for label, value in data.items():
        key = names.get(label, label)
        if key == "":
            problems += _keep_unused(label, value, unused)
        elif key in keyed:
            text = _("is given twice, by its name and by its key")
            problems.append(Problem(given_as[key], text, value, other_name=str(label)))
        else:
            keyed[key], given_as[key] = value, str(label)
    wire, wrong = normalise(fields, keyed, trim=trim)
    words = words_of(names)
    by_key = not any(label in names for label in data) and any(label in words for label in data)
    problems += [_in_words(problem, given_as, words, by_key=by_key) for problem in wrong]
    return {**{words.get(key, key): entry for key, entry in wire.items()}, **unused}, problems


def _keep_unused(label: str, value: object, unused: dict[str, dict[str, str]]) -> list[Problem]:
    """Keep the text of a name that this template has no field for: another one may have."""
    text, problem = plain_text(label, value)
    if problem is None:
        unused[label] = {"value": text}
    return [] if problem is None else [problem]


def _in_words(
    problem: Problem, given_as: Mapping[Any, str], words: Names, *, by_key: bool
) -> Problem:
    """The problem of a key, under the word that the caller used, and with the other word."""
    key = problem.field
    name = words.get(key)
    if name is None:
        return problem
    said = given_as.get(key, key if by_key else name)
    return replace(problem, field=said, other_name=key if said == name else name)


def to_keys(data: Mapping[str, Any], keys: Names) -> dict[str, Any]:
    """Data with labels, as the wire has it. ``keys``: the key of each label, "" to leave it out."""
    return {key: value for label, value in data.items() if (key := keys.get(label, label))}


def keys_of(labels: Iterable[str], written: Named | None, target: Named) -> dict[str, str]:
    """The key in ``target`` of each label of data that was written for ``written``.

    A label is missing if nothing says which field it means. One that was a key means the same
    field in another template if it has a name there, or the same key with the same text before it.
    ``written`` None: data from before revisions were kept.
    """
    names = target.field_names
    if written is None or written.template_id == target.template_id:
        before = written.field_names if written is not None else {}
        words = words_of(before)
        # Within one template a key stays what it is, so a name that was taken away still has one.
        known = {**before, **names}
        return {label: known.get(label, known.get(words.get(label, ""), label)) for label in labels}
    words = words_of(written.field_names)
    then = {field.name: field for field in parse(written.content)}
    now = {field.name: field for field in parse(target.content)}
    found = {}
    for label in labels:
        word = words.get(label, label)
        key = names.get(word, names.get(label))
        own = written.field_names.get(label, label)
        if key is None and (own in NOT_SHOWN or (own in now and then.get(own) == now[own])):
            key = own
        if key is not None:
            found[label] = key
    return found


def carried_over(
    data: Mapping[str, Any], written: Named | None, target: Named
) -> tuple[dict[str, Any], list[Problem]]:
    """Checked data, written for one template or revision, as it is sent with another; and why not.

    Nothing is formatted again or shortened: what does not fit is a problem.
    """
    keys = keys_of(data, written, target)
    problems = []
    given_as: dict[str, str] = {}
    for label in data:
        key = keys.get(label)
        if key is None:
            problems.append(Problem(label, _("has no field in this template")))
        elif key in given_as:
            text = _("is given twice, by its name and by its key")
            problems.append(Problem(given_as[key], text, other_name=label))
        elif key:
            given_as[key] = label
    keyed = {key: data[label] for key, label in given_as.items()}
    wire, wrong = normalise(parse(target.content), keyed)
    words = words_of(target.field_names)
    problems += [_in_words(problem, given_as, words, by_key=False) for problem in wrong]
    return wire, problems


def label_type(label: str, names: Names) -> str:
    """The type of the field that a label stands for: ``thing`` for ``thing2`` and its name."""
    return type_of(names.get(label) or label)


def as_reason(problems: Iterable[Problem], fields: Iterable[Field]) -> str:
    """Why the values of a message cannot be sent, as the text of its row, which names its person.

    Each field is called as on the message, then by the caller's word and WeChat's key. One line,
    without characters that a database refuses.
    """
    printed = {field.name: field.label for field in fields}
    return CONTROL.sub(" ", "; ".join(_as_printed(problem, printed) for problem in problems))


def _as_printed(problem: Problem, printed: Mapping[str, str]) -> str:
    label = printed.get(problem.field) or printed.get(problem.other_name)
    if not label:
        return str(replace(problem, recipient=""))
    words = ", ".join(word for word in (problem.field, problem.other_name) if word)
    return f"{label} ({words}): {problem.message}"
