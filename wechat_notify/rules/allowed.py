"""``allow()``: what rules may see of a model. Nothing else can be reached from a rule.

``allow()`` may be called before the models are loaded; what it says is checked as soon as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import Field, Model
from django.utils.text import capfirst

from .kinds import Kind, kind_of

Labels: TypeAlias = Iterable[str] | Mapping[str, Any]
"""Paths, or a label for each path. A label of None is the field's own."""

SEPARATOR = "__"
BETWEEN = " · "


@dataclass(frozen=True, slots=True)
class AllowedField:
    """One value of an object: ``path`` as in "school__name", from the object to ``field``."""

    path: str
    steps: tuple["Field[Any, Any]", ...]
    kind: Kind
    given_label: Any = None

    @property
    def field(self) -> "Field[Any, Any]":
        return self.steps[-1]

    @property
    def is_own(self) -> bool:
        """Whether it stands in the object's own row, so that its changes can be told."""
        return len(self.steps) == 1

    @property
    def label(self) -> str:
        """What people call it, in the active language."""
        if self.given_label is not None:
            return str(self.given_label)
        return _joined(one.verbose_name for one in self.steps)

    @property
    def placeholder(self) -> str:
        """What stands for it in a text between {{ and }}, as in "object.school.name"."""
        return "object." + self.path.replace(SEPARATOR, ".")


@dataclass(frozen=True, slots=True)
class AllowedRecipients:
    """The users that ``path`` leads to from an object. ``names``: of the relations on the way."""

    path: str
    names: tuple[Any, ...]
    given_label: Any = None

    @property
    def label(self) -> str:
        """What people call them, in the active language."""
        return _joined(self.names) if self.given_label is None else str(self.given_label)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What rules may see of ``model``: fields and recipients by their paths."""

    model: type[Model]
    fields: dict[str, AllowedField]
    recipients: dict[str, AllowedRecipients]
    link: str | Callable[[Any], Any] | None = None

    @property
    def label(self) -> str:
        """The model as rules name it: "shop.order"."""
        return self.model._meta.label_lower

    @property
    def name(self) -> str:
        """What people call an object of the model, in the active language."""
        return str(self.model._meta.verbose_name)

    def url_of(self, instance: Model) -> str:
        """The link of an object; "" if objects of this model have none."""
        if self.link is None:
            return ""
        made = self.link(instance) if callable(self.link) else getattr(instance, self.link)()
        return str(made or "")


@dataclass(slots=True)
class _Declaration:
    model: type[Model] | str
    fields: Mapping[str, Any]
    recipients: Mapping[str, Any]
    link: str | Callable[[Any], Any] | None
    problems: list[str] = field(default_factory=list)


_allowed: dict[str, Allowed] = {}
_waiting: list[_Declaration] = []

listeners: list[Callable[[Allowed], None]] = []
"""Called with every model that is allowed from now on."""


def allow(
    model: type[Model] | str,
    *,
    fields: Labels,
    recipients: Labels,
    link: str | Callable[[Any], Any] | None = None,
) -> None:
    """Let rules see these ``fields`` of ``model``, and tell these ``recipients``.

    ``fields`` are columns of the model, and of what it refers to: "status", "school__name". A
    reference itself is a field, too: as text it is the user's full name, or the object's ``str()``.
    ``recipients`` are paths to users over relations of any kind: "buyer", "school__managers". Both
    may be mappings of labels, which rules show instead of the fields' own. ``link`` is the name of
    a method without arguments, or a function of the object, that returns a URL.

    A second call for the same model replaces the first. Raises ``ImproperlyConfigured`` with
    everything that no rule may see: passwords, private names, files, methods.
    """
    if isinstance(fields, str) or isinstance(recipients, str):
        raise ImproperlyConfigured("allow(): fields and recipients are lists, not one text.")
    declaration = _Declaration(model, _labels(fields), _labels(recipients), link)
    if apps.models_ready:
        _resolve([declaration])
    else:
        _waiting.append(declaration)


def allowed() -> list[Allowed]:
    """Every model that rules may see, by its name."""
    return sorted(_allowed.values(), key=lambda one: one.name)


def allowed_for(label: str) -> Allowed:
    """What rules may see of the model of this label, such as "shop.order". Raises LookupError."""
    return _allowed[label]


def forget(label: str) -> None:
    """Let rules see nothing of this model any more; for tests."""
    _allowed.pop(label, None)


def resolve_waiting() -> None:
    """Check what was declared before the models were loaded. Called when the app is ready."""
    waiting = list(_waiting)
    _waiting.clear()
    _resolve(waiting)


def _joined(names: Iterable[Any]) -> str:
    return BETWEEN.join(str(capfirst(str(one))) for one in names)


def _labels(given: Labels) -> Mapping[str, Any]:
    return dict(given) if isinstance(given, Mapping) else dict.fromkeys(given)


def _resolve(declarations: Iterable[_Declaration]) -> None:
    problems = []
    for one in declarations:
        made = _resolved(one)
        problems += one.problems
        if made is not None and not one.problems:
            _allowed[made.label] = made
            for listener in listeners:
                listener(made)
    if problems:
        raise ImproperlyConfigured("\n".join(problems))


def _resolved(declared: _Declaration) -> Allowed | None:
    """What was declared; what is wrong with it is added to its problems."""
    try:
        model = (
            apps.get_model(declared.model) if isinstance(declared.model, str) else declared.model
        )
    except (LookupError, ValueError) as error:
        declared.problems.append(f"allow({declared.model!r}): {error}")
        return None
    fields: dict[str, AllowedField] = {}
    recipients: dict[str, AllowedRecipients] = {}
    for path, label in declared.fields.items():
        with _noted(declared, model, path):
            steps = tuple(_steps(model, path))
            fields[path] = AllowedField(path, steps, kind_of(steps[-1]), label)
    for path, label in declared.recipients.items():
        with _noted(declared, model, path):
            recipients[path] = AllowedRecipients(path, tuple(_names_to_users(model, path)), label)
    with _noted(declared, model, "link"):
        _check_link(model, declared.link)
    return Allowed(model, fields, recipients, declared.link)


class _noted:  # noqa: N801 - used as a function is
    """A ValueError in the block becomes a problem of the declaration."""

    def __init__(self, declared: _Declaration, model: type[Model], path: str) -> None:
        self._declared, self._where = declared, f"allow({model._meta.label}): {path!r}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, ValueError):
            return False
        self._declared.problems.append(f"{self._where} {error}")
        return True


def _steps(model: type[Model], path: str) -> Iterator["Field[Any, Any]"]:
    """The fields that lead to one value of an object. Raises ``ValueError``."""
    parts = path.split(SEPARATOR)
    for number, part in enumerate(parts):
        found: Any = _field(model, part)
        if not isinstance(found, Field) or not found.concrete or found.many_to_many:
            raise ValueError("is no column: rules see one value for each object.")
        yield found
        if number < len(parts) - 1:
            if found.related_model is None:
                raise ValueError(f"does not lead on from {part!r}, which refers to nothing.")
            model = found.related_model


def _field(model: type[Model], name: str) -> Any:
    """A field by its very name: no column's name, no "pk", nothing private, no secret."""
    if not name or name.startswith("_") or "password" in name.lower():
        raise ValueError("is not for messages.")
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise ValueError(f"is no field: {error}.") from error
    if found.name != name:
        raise ValueError(f"is called {found.name!r}.")
    return found


def _names_to_users(model: type[Model], path: str) -> Iterator[Any]:
    """What the relations on the way to users are called. Raises ``ValueError``."""
    for part in path.split(SEPARATOR):
        found = _field(model, part)
        if not found.is_relation or found.related_model is None:
            raise ValueError("does not lead to users: it refers to nothing.")
        model = found.related_model
        yield getattr(found, "verbose_name", None) or model._meta.verbose_name_plural
    if not issubclass(model, get_user_model()):
        raise ValueError(f"does not lead to users, but to {model._meta.label}.")


def _check_link(model: type[Model], link: str | Callable[[Any], Any] | None) -> None:
    if link is None or callable(link):
        return
    method = getattr(model, link, None)
    if link.startswith("_") or not callable(method) or getattr(method, "alters_data", False):
        raise ValueError(f"must be a method that returns a URL, not {link!r}.")
