"""Whom the rows of a table are for, and what each of them gets."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db.models import CharField, F, QuerySet
from django.db.models.functions import Cast, Lower
from django.utils.translation import gettext as _

from ...models import MessageTemplate, OpenIDBinding
from .pasted import owners_of_full_names, usable_openids
from .table_columns import FULL_NAME, OPENID, Columns, understand_columns
from .table_text import Row, Table

Person: TypeAlias = Hashable
"""A person whom a row is for: ``key_of`` a user, or of an openid that is bound to no user."""


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row that nobody gets: the number of its line, whom it names, and why."""

    line: int
    named: str
    reason: str


def wrong_rows(rows: Iterable[WrongRow]) -> list[str]:
    """Each row in a line of text: which it is, and what is wrong."""
    text = _("Line %(line)d: “%(named)s” %(reason)s")
    return [text % {"line": r.line, "named": r.named, "reason": r.reason} for r in rows]


@dataclass(slots=True)
class TablePeople:
    """A table that was understood. ``users`` and ``openids`` are its recipients.

    ``values`` has the cells of each person by the key of their field, without empty ones; ``lines``
    the numbers of their rows.
    """

    columns: Columns
    headings: tuple[str, ...]
    users: set[Any] = field(default_factory=set)
    openids: list[str] = field(default_factory=list)
    values: dict[Person, dict[str, str]] = field(default_factory=dict)
    lines: dict[Person, int] = field(default_factory=dict)
    wrong: list[WrongRow] = field(default_factory=list)

    @property
    def fields(self) -> frozenset[str]:
        """The keys of the fields that have a column."""
        return frozenset(self.columns.fields.values())

    def line_of(self, person: Any) -> int | None:
        """The line that a user or an openid has in the table."""
        return self.lines.get(key_of(person))


def key_of(person: Any) -> Person:
    """What stands for a user, or for an openid without one, in ``values`` and ``lines``."""
    return person if isinstance(person, str) else (person.pk,)


def understand_table(
    table: Table,
    template: MessageTemplate,
    users: QuerySet[Any],
    declared: Mapping[str, str],
) -> TablePeople:
    """Whom the rows mean among ``users``, the only ones who may be written to.

    What is wrong with a row is in ``wrong``; with the whole table, raises ``UnreadableTable``. In a
    few queries for each column that names people. ``declared``: the site's own headings with their
    lookups.
    """
    columns = understand_columns(table.headings, template, declared)
    result = TablePeople(columns, table.headings)
    named = [_named(row, columns) for row in table.rows]
    find: dict[str, _Found] = {}
    for way in dict(named):
        texts = [text for one, text in named if one == way]
        find[way] = _find(way, texts, users, template.account)
    for row, (way, text) in zip(table.rows, named, strict=True):
        _take(result, row, text, find[way](text))
    return result


@dataclass(frozen=True, slots=True)
class _Owners:
    """Who has one name: users by key; or an openid, with or without a user."""

    users: frozenset[Any] = frozenset()
    openid: str = ""


_Found: TypeAlias = Callable[[str], _Owners]


def _named(row: Row, columns: Columns) -> tuple[str, str]:
    """How this row names its person: the surest way that is filled in, and the text there."""
    for at, way in columns.people:
        if at < len(row.cells) and row.cells[at]:
            return way, row.cells[at]
    return columns.people[0][1], ""


def _take(result: TablePeople, row: Row, named: str, owners: _Owners) -> None:
    """Add a row to the recipients, or to what is wrong."""
    if reason := _why_wrong(result, row, named, owners):
        result.wrong.append(WrongRow(row.line, named, reason))
        return
    person: Person = next(((pk,) for pk in owners.users), owners.openid)
    if person in result.lines:
        reason = _("is the same person as in line %d") % result.lines[person]
        result.wrong.append(WrongRow(row.line, named, reason))
        return
    if owners.openid:
        result.openids.append(owners.openid)
    else:
        result.users |= owners.users
    fields = result.columns.fields
    cells = {key: row.cells[at] for at, key in fields.items() if at < len(row.cells)}
    result.values[person] = {key: text for key, text in cells.items() if text}
    result.lines[person] = row.line


def _why_wrong(result: TablePeople, row: Row, named: str, owners: _Owners) -> str:
    if any(row.cells[len(result.headings) :]):
        return _("has more cells than the first line")
    if not named:
        return _("names nobody")
    if len(owners.users) > 1:
        return _("is the name of several people")
    return "" if owners.users or owners.openid else _("is not known")


def _find(way: str, texts: list[str], users: QuerySet[Any], account: str) -> _Found:
    """A function from each of ``texts`` to who is meant. Asks the database here."""
    if way == OPENID:
        return _by_openid(texts, users, account)
    if way == FULL_NAME:
        return _by_users(owners_of_full_names(texts, users))
    model: Any = get_user_model()
    if way == model.get_email_field_name():
        lowered = users.annotate(wechat_key=Lower(way))
        found = _by_users(_owners(lowered, [text.lower() for text in texts]))
        return lambda text: found(text.lower())
    is_text = way == model.USERNAME_FIELD and isinstance(model._meta.get_field(way), CharField)
    # What is a number in the database is compared as text: a cell may hold anything.
    key: Any = F(way) if is_text else Cast(F(way), CharField())
    try:
        keyed = users.annotate(wechat_key=key)
    except FieldError as error:
        raise ImproperlyConfigured(
            f"WeChatRecipients.columns: {way!r} does not lead from a user to a value."
        ) from error
    return _by_users(_owners(keyed, texts))


def _by_openid(openids: list[str], users: QuerySet[Any], account: str) -> _Found:
    usable = usable_openids(openids, users, account)
    known = OpenIDBinding.objects.filter(account=account, openid__in=usable)
    bound = dict(known.values_list("openid", "user_id"))

    def find(text: str) -> _Owners:
        if text not in usable:
            return _Owners()
        return _Owners(frozenset({bound[text]} if text in bound else ()), text)

    return find


def _by_users(owners: Mapping[str, set[Any]]) -> _Found:
    return lambda text: _Owners(frozenset(owners.get(text, ())))


def _owners(users: QuerySet[Any], texts: Iterable[str]) -> dict[str, set[Any]]:
    """The keys of ``users`` by their ``wechat_key``. In Python too: MariaDB matches any case."""
    wanted = set(texts)
    owners: defaultdict[str, set[Any]] = defaultdict(set)
    for text, pk in users.filter(wechat_key__in=wanted).values_list("wechat_key", "pk"):
        if text in wanted:
            owners[text].add(pk)
    return owners
