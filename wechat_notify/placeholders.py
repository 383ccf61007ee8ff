"""Values in a text that a person typed: ``{{ user.first_name }}``, ``{{ object.number }}``.

The texts come from a form, so this is Django's template language with almost everything removed:
no tags, no loaders, a dozen filters, and only the listed names of a user, and of whatever else the
caller has listed. A text with any other name is refused. The values are fetched here, or by the
caller, and passed on as plain text, numbers and dates, so that a text never gets hold of an object.
"""

import copy
import datetime
import decimal
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import MethodType
from typing import Any, ClassVar, TypeAlias

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.template import Context, Engine, Library, Template, TemplateSyntaxError
from django.template.base import FilterExpression, TextNode, Variable, VariableNode
from django.template.defaultfilters import register as django_filters
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .exceptions import InvalidData, PlaceholderError, Problem
from .names import full_name, name_of
from .types import DataSource
from .wechat.masking import mask_openid

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
"""Filters that read no attribute and do not make a text much longer."""

FULL_NAME = "get_full_name"
METHODS = {FULL_NAME: gettext_lazy("full name"), "get_short_name": gettext_lazy("short name")}
"""Methods of Django's user models (django.contrib.auth, AbstractUser), with their labels."""

USER = "user."

_PLAIN_TYPES = (str, int, float, decimal.Decimal, datetime.date, datetime.time)
_OPENING = ("{{", "{%")


Readers: TypeAlias = Mapping[str, Callable[[Any], Any]]
"""From a name to a function that gets the user and returns the value."""


class _SafeEngine(Engine):
    """A template engine with only ``FILTERS``."""

    default_builtins: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__(loaders=[], autoescape=False)
        library = Library()
        library.filters = {name: django_filters.filters[name] for name in FILTERS}
        self.template_builtins = [library]


@cache
def _engine() -> _SafeEngine:
    return _SafeEngine()


def usable_names(extra: Iterable[str] | Mapping[str, Any] = ()) -> dict[str, str]:
    """The names that may follow ``user.``, with their labels.

    First and last name, user name and e-mail if the user model has them, and its full and short
    name; ``extra`` are more names that the site allows, such as "student.class_name". A mapping
    has labels for them. Raises ``ImproperlyConfigured`` for a name that no message may use, such
    as a password.
    """
    model: Any = get_user_model()
    wanted = ("first_name", "last_name", model.USERNAME_FIELD, model.get_email_field_name())
    fields = {field.name: str(field.verbose_name) for field in model._meta.concrete_fields}
    names = {name: capfirst(fields[name]) for name in wanted if name in fields}
    for method, label in METHODS.items():
        if hasattr(model, method):
            names[method] = str(capfirst(label))
    labels = extra if isinstance(extra, Mapping) else {}
    for name in extra:
        names.setdefault(name, str(capfirst(labels.get(name, fields.get(name, name)))))
    for name in names:
        _require_harmless(name, names)
    return names


def _require_harmless(name: str, names: Iterable[str]) -> None:
    if "password" in name or any(part.startswith("_") for part in name.split(".")):
        raise ImproperlyConfigured(f"{name!r} is no placeholder: it is not for messages.")
    if any(other.startswith(f"{name}.") for other in names):
        raise ImproperlyConfigured(f"{name!r} is no placeholder beside what stands behind it.")


def has_placeholders(text: str) -> bool:
    """Whether ``text`` has placeholders. WeChat reserves ``{{``, so no other text has it."""
    return any(opening in text for opening in _OPENING)


class PersonalText:
    """One text with placeholders, checked.

    ``names`` are those that may follow ``user.``; ``readers`` give the values of those that are no
    attributes of a user. ``others`` are whole names, such as "object.number", whose values
    ``about()`` brings.
    """

    def __init__(
        self,
        text: str,
        names: Iterable[str],
        *,
        readers: Readers | None = None,
        others: Iterable[str] = (),
    ) -> None:
        """Raises ``PlaceholderError`` for anything but listed names."""
        self._template = _compiled(text)
        used = sorted({".".join(one.lookups or ()) for one in _used(self._template)})
        known = {f"{USER}{name}" for name in names} | set(others)
        if wrong := [name for name in used if name not in known]:
            raise PlaceholderError(_unknown(wrong[0], known))
        for variable in _used(self._template):
            # One look-up by the whole name: nothing is looked up in a value.
            variable.lookups = (".".join(variable.lookups or ()),)
        self._names = [name for name in used if name.startswith(USER)]
        self._others = [name for name in used if not name.startswith(USER)]
        self._readers = readers or {}
        self._read: dict[str, Any] = dict.fromkeys(self._others, "")

    @property
    def is_personal(self) -> bool:
        """Whether it differs from one recipient to another."""
        return bool(self._names)

    def about(self, read: Callable[[str], Any]) -> "PersonalText":
        """The same text with what ``read`` returns for each of the other names in it.

        These are texts, numbers, dates and times, or None.
        """
        bound = copy.copy(self)
        bound._read = {name: _plain(read(name)) for name in self._others}
        return bound

    def for_person(self, person: Any) -> Any:
        """The text for this user. For an openid (a str), which has no user, every name is "".

        A lone placeholder keeps its date or number, so that its field can format it.
        """
        context = Context({**self._values(person), **self._read}, autoescape=False)
        nodes = self._template.nodelist
        try:
            if len(nodes) == 1 and isinstance(nodes[0], VariableNode):
                return nodes[0].filter_expression.resolve(context)
            return str(self._template.render(context)).strip()
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise PlaceholderError(_("a filter cannot work on this person's value")) from error

    def _values(self, person: Any) -> dict[str, Any]:
        if isinstance(person, str):
            return dict.fromkeys(self._names, "")
        return {name: self._value(person, name.removeprefix(USER)) for name in self._names}

    def _value(self, user: Any, name: str) -> Any:
        if name in self._readers:
            return _plain(self._readers[name](user))
        return _value(user, name)


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


def _used(template: Template) -> Iterator[Variable]:
    """All names that the text uses."""
    for node in template.nodelist:
        if isinstance(node, VariableNode):
            yield from _variables(node.filter_expression)


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
    """The value of a listed name as plain text, number or date; "" if there is none.

    A manager of related rows is no value.
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
    return _plain(value)


def _plain(value: Any) -> Any:
    if value is None or callable(value):
        return ""
    return value if isinstance(value, _PLAIN_TYPES) else str(value)


class PersonalData:
    """A message's values, some of which may hold placeholders: ``notify()``'s ``data``.

    ``problems`` says, by field, which texts are wrong; with any, it cannot be used as data.
    """

    def __init__(
        self,
        values: Mapping[str, str],
        names: Iterable[str],
        *,
        readers: Readers | None = None,
        others: Iterable[str] = (),
    ) -> None:
        self._texts: dict[str, Any] = dict(values)
        self._names = tuple(names)
        self._readers = readers
        self._personal: dict[str, PersonalText] = {}
        self.problems: dict[str, str] = {}
        for field, text in values.items():
            if has_placeholders(text):
                try:
                    self._personal[field] = PersonalText(
                        text, self._names, readers=readers, others=others
                    )
                except PlaceholderError as error:
                    self.problems[field] = str(error)

    def about(self, read: Callable[[str], Any]) -> "PersonalData":
        """The same with the values of the ``others``; see ``PersonalText.about``.

        What differs for nobody then is filled in.
        """
        filled = copy.copy(self)
        filled._texts, filled._personal = dict(self._texts), {}
        for field, text in self._personal.items():
            bound = text.about(read)
            try:
                if not bound.is_personal:
                    filled._texts[field] = bound.for_person("")
                    continue
            except PlaceholderError:
                pass  # told for each person, as any text that fails
            filled._personal[field] = bound
        return filled

    @property
    def personal_fields(self) -> list[str]:
        """The fields whose value differs from one recipient to another."""
        return list(self._personal)

    @property
    def shared(self) -> dict[str, Any]:
        """The values that are the same for everybody, as they were typed."""
        personal = set(self.personal_fields)
        return {name: text for name, text in self._texts.items() if name not in personal}

    @property
    def source(self) -> DataSource:
        """For ``notify()``: plain data if it is the same for everybody, else ``for_person``."""
        return self.for_person if self._personal else self._texts

    def with_sample(self) -> "PersonalData":
        """The same, for a test: for people who are none of the recipients."""
        return self

    def own_values(self, person: Any) -> Mapping[str, str]:
        """What this person gets in place of the texts, by field. None here: for a subclass."""
        return {}

    def for_person(self, person: Any) -> dict[str, Any]:
        """The values for this user or openid. Raises ``InvalidData``."""
        own = self.own_values(person)
        made: dict[str, Any] = {**self._texts, **own}
        problems = []
        for field, text in self._personal.items():
            if field in own:
                continue
            try:
                made[field] = text.for_person(person)
            except PlaceholderError as error:
                who = mask_openid(person) if isinstance(person, str) else name_of(person)
                problems.append(Problem(field, str(error), self._texts[field], who))
        if problems:
            raise InvalidData(problems)
        return made
