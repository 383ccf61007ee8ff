"""Values that differ for each recipient: ``{{ user.first_name }}`` in a text that a person typed.

Django's own template language with almost everything taken out, for the texts come from a form:
no tag, no loader, a dozen filters, and of a user nothing but the names that are listed. A name
that is not listed is refused when the text is read, and what a listed one leads to is fetched
here and handed over as plain text, numbers and dates, so that no text ever holds an object.
"""

import datetime
import decimal
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MethodType
from typing import Any, ClassVar

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.template import Context, Engine, Library, Template, TemplateSyntaxError
from django.template.base import FilterExpression, TextNode, Variable, VariableNode
from django.template.defaultfilters import register as django_filters
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..exceptions import InvalidData, PlaceholderError, Problem
from ..types import DataSource
from ..wechat.masking import mask_openid
from .names import full_name

FILTERS = (
    "capfirst",
    "date",
    "default",
    "default_if_none",
    "first",
    "last",
    "lower",
    "time",
    "title",
    "truncatechars",
    "upper",
    "yesno",
)
"""Filters that neither reach anything nor make a text much longer than it was."""

FULL_NAME = "get_full_name"
METHODS = {FULL_NAME: gettext_lazy("full name"), "get_short_name": gettext_lazy("short name")}
"""What every user model offers and what it is called (django.contrib.auth, AbstractUser)."""

_PLAIN = (str, int, float, decimal.Decimal, datetime.date, datetime.time)
_OPENING = ("{{", "{%")


class _SafeEngine(Engine):
    """An engine that knows ``FILTERS`` and nothing else."""

    default_builtins: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__(loaders=[], autoescape=False)
        library = Library()
        library.filters = {name: django_filters.filters[name] for name in FILTERS}
        self.template_builtins = [library]


@cache
def _engine() -> _SafeEngine:
    return _SafeEngine()


def usable_names(extra: Iterable[str] = ()) -> dict[str, str]:
    """The names that may follow ``user.`` with what people call them.

    The user name, first and last name and e-mail, as far as the user model has them, and its full
    and short name; ``extra`` are more of them by the site's choice, such as "student.class_name".
    Raises ``ImproperlyConfigured`` for one that no message may ever hold.
    """
    model: Any = get_user_model()
    wanted = ("first_name", "last_name", model.USERNAME_FIELD, model.get_email_field_name())
    fields = {field.name: str(field.verbose_name) for field in model._meta.concrete_fields}
    names = {name: capfirst(fields[name]) for name in wanted if name in fields}
    for method, label in METHODS.items():
        if hasattr(model, method):
            names[method] = str(capfirst(label))
    for name in extra:
        names.setdefault(name, capfirst(fields.get(name, name)))
    for name in names:
        _require_harmless(name, names)
    return names


def _require_harmless(name: str, names: Iterable[str]) -> None:
    if "password" in name or any(part.startswith("_") for part in name.split(".")):
        raise ImproperlyConfigured(f"{name!r} is no placeholder: it is not for messages.")
    if any(other.startswith(f"{name}.") for other in names):
        raise ImproperlyConfigured(f"{name!r} is no placeholder beside what stands behind it.")


def has_placeholders(text: str) -> bool:
    """Whether ``text`` is to be read as more than itself. WeChat reserves ``{{`` anyway."""
    return any(opening in text for opening in _OPENING)


class PersonalText:
    """One text with placeholders, read and found harmless."""

    def __init__(self, text: str, names: Iterable[str]) -> None:
        """Raises ``PlaceholderError`` for anything but listed ``names`` of the user."""
        self._template = _compiled(text)
        used = sorted(set(_used(self._template)))
        known = {f"user.{name}" for name in names}
        if wrong := [name for name in used if name not in known]:
            raise PlaceholderError(_unknown(wrong[0], known))
        self._names = [name.removeprefix("user.") for name in used]

    def for_person(self, person: Any) -> Any:
        """The text as this user gets it. An openid (a str) has no user: every name is empty.

        A date or number that stands alone is left to be written as its field wants it.
        """
        context = Context({"user": self._values(person)}, autoescape=False)
        nodes = self._template.nodelist
        try:
            if len(nodes) == 1 and isinstance(nodes[0], VariableNode):
                return nodes[0].filter_expression.resolve(context)
            return str(self._template.render(context)).strip()
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise PlaceholderError(_("a filter cannot work on this person's value")) from error

    def _values(self, person: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in self._names:
            *path, last = name.split(".")
            room = values
            for part in path:
                room = room.setdefault(part, {})
            room[last] = "" if isinstance(person, str) else _value(person, name)
        return values


def _compiled(text: str) -> Template:
    try:
        template = Template(text, engine=_engine())
    except TemplateSyntaxError as error:
        if "{%" in text:
            raise PlaceholderError(_("only {{ … }} works here, not {% … %}")) from error
        raise PlaceholderError(_("cannot be read: %s") % error) from error
    for node in template.nodelist:
        if isinstance(node, TextNode) and any(sign in node.s for sign in ("{{", "}}", "{%", "%}")):
            raise PlaceholderError(_("every {{ needs its }}"))
    return template


def _used(template: Template) -> Iterator[str]:
    """Every name that the text asks for."""
    for node in template.nodelist:
        if isinstance(node, VariableNode):
            for variable in _variables(node.filter_expression):
                yield ".".join(variable.lookups or ())


def _variables(expression: FilterExpression) -> Iterator[Variable]:
    arguments = [value for _func, given in expression.filters for _is_name, value in given]
    for part in (expression.var, *arguments):
        if isinstance(part, Variable) and part.lookups is not None:
            yield part


def _unknown(wrong: str, known: Iterable[str]) -> str:
    return _("{{ %(wrong)s }} cannot be used here. These can: %(names)s") % {
        "wrong": wrong,
        "names": ", ".join(sorted(known)),
    }


def _value(user: Any, name: str) -> Any:
    """What a listed name leads to, as plain text, number or date; "" where there is nothing.

    A manager of related rows is nothing that can be said in a message.
    """
    if name == FULL_NAME:
        return full_name(user)
    value = user
    for part in name.split("."):
        try:
            value = getattr(value, part, None)
        except ObjectDoesNotExist:  # the other end of a one-to-one relation
            return ""
        if isinstance(value, MethodType) and not getattr(value, "alters_data", False):
            value = value()
    if value is None or callable(value):
        return ""
    return value if isinstance(value, _PLAIN) else str(value)


class PersonalData:
    """A message's values, some of which may hold placeholders: ``notify()``'s ``data``.

    ``problems`` says by field what cannot be read; with any, it cannot be used as data.
    """

    def __init__(self, values: Mapping[str, str], names: Iterable[str]) -> None:
        self._texts = dict(values)
        self._personal: dict[str, PersonalText] = {}
        self.problems: dict[str, str] = {}
        for field, text in values.items():
            if has_placeholders(text):
                try:
                    self._personal[field] = PersonalText(text, names)
                except PlaceholderError as error:
                    self.problems[field] = str(error)

    @property
    def personal_fields(self) -> list[str]:
        """The fields whose value differs from one recipient to another."""
        return list(self._personal)

    @property
    def shared(self) -> dict[str, str]:
        """The values that are the same for everybody, as they were typed."""
        return {name: text for name, text in self._texts.items() if name not in self._personal}

    @property
    def source(self) -> DataSource:
        """For ``notify()``: shared data where nobody gets anything of their own."""
        return self.for_person if self._personal else self._texts

    def for_person(self, person: Any) -> dict[str, Any]:
        """The values as this user, or this openid, gets them. Raises ``InvalidData``."""
        made: dict[str, Any] = dict(self._texts)
        problems = []
        for field, text in self._personal.items():
            try:
                made[field] = text.for_person(person)
            except PlaceholderError as error:
                who = mask_openid(person) if isinstance(person, str) else str(person)
                problems.append(Problem(field, str(error), self._texts[field], who))
        if problems:
            raise InvalidData(problems)
        return made
