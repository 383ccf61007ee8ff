"""What a rule's message says: a text for each of the template's fields."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.translation import gettext as _

from ..models import MessageTemplate
from ..placeholders import PersonalData, has_placeholders, usable_names
from ..wechat.fields import NOT_SHOWN
from .allowed import Allowed
from .object_values import shown_value

LONGEST = 500
MOST = 50


class Texts:
    """The texts, checked. ``data_about`` fills them in."""

    def __init__(self, data: PersonalData, allowed: Allowed) -> None:
        self._data = data
        self._fields = {field.placeholder: field for field in allowed.fields.values()}

    def data_about(self, instance: Model) -> PersonalData:
        """For ``notify()`` and for previews: the data of each person, about this object."""
        return self._data.about(lambda name: shown_value(self._fields[name], instance))


def texts_of(given: Any, template: MessageTemplate, allowed: Allowed) -> Texts:
    """The texts that a rule's JSON says. Raises ``ValidationError`` with all problems."""
    if not isinstance(given, dict) or len(given) > MOST:
        raise ValidationError(_("The texts cannot be read."))
    problems = list(_problems(given, template))
    if problems:
        raise ValidationError(problems)
    names = [field.placeholder for field in allowed.fields.values()]
    data = PersonalData(given, usable_names(), others=names)
    if data.problems:
        raise ValidationError([_in_field(name, why) for name, why in data.problems.items()])
    return Texts(data, allowed)


def _problems(given: dict[str, Any], template: MessageTemplate) -> Iterator[str]:
    """What is wrong with the texts as such, and with those that are the same for everybody."""
    for name, text in given.items():
        if not isinstance(text, str) or len(text) > LONGEST:
            yield _in_field(name, _("It must be a text of at most %d characters.") % LONGEST)
            return
    keys = {name: template.field_names.get(name, name) for name in given}
    said = {key for name, key in keys.items() if given[name].strip()}
    known = {field.name for field in template.fields}
    for key in sorted(said - known - {""}) if known else ():
        yield _("The template has no field “%s”.") % key[:50]
    for field in template.fields:
        if field.name not in said | NOT_SHOWN:
            yield _("The field “%s” has no text.") % (field.label or field.name)
    fixed = {name: text for name, text in given.items() if not has_placeholders(text)}
    for problem in template.check_data(fixed):
        name = problem.field
        if name in fixed and fixed[name].strip() and (keys[name] in known or not known):
            yield str(problem)


def _in_field(name: str, problem: str) -> str:
    return _("%(field)s: %(problem)s") % {"field": name[:50], "problem": problem}
