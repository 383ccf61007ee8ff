"""What a template asks for: its fields, and the card people will see.

A template's ``content`` is display text with one placeholder for each field, such as
``时间：{{time2.DATA}}``. The key's name without its number is the field's type, and the type has a
rule (``rules.py``). WeChat answers a value that breaks it with 47003 and shortens nothing by
itself.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from django.utils.translation import gettext_lazy as _

from .rules import NOT_SHOWN_RULE, RULES, Rule
from .text import CONTROL, EMOJI, shorten

NOT_SHOWN = frozenset({"first", "remark"})
"""Filtered out silently since 2023-05-04 (关于规范公众号模板消息的再次公告); may be omitted."""

# Refused whatever the type: a body cannot carry a lone surrogate, PostgreSQL cannot store a NUL.
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")


_BROKEN = _("has a character that cannot be sent (NUL or half a surrogate pair)")
# Not shown as a box any more, but removed (docs/wechat-api.md, 12.6).
_EMOJI = _("WeChat removes emoji from the messages of old templates")
_UNDOCUMENTED = _("WeChat documents no rule for this field: it cannot be checked before sending")
_UNAPPROVED = _("this value is not known to be approved; WeChat refuses those that are not")
_MANY_DIGITS = _("WeChat was seen to refuse amounts of more than 10 digits, decimals included")

LISTED = frozenset({"const", "enum", "enum_string"})
"""Types of which WeChat takes approved values only (docs/wechat-api.md, 2.5)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One placeholder of a template: ``name`` is the key to send, ``label`` the text before it."""

    name: str
    label: str
    type: str

    @property
    def rule(self) -> Rule | None:
        """The rule of the type, or None where WeChat documents none.

        A typed key carries a number ("每个模板参数都会以类型为前缀，例如…number01.DATA"). Old
        templates have plain words, such as ``number`` for "1份", which obey no rule.
        """
        if self.name in NOT_SHOWN:
            return NOT_SHOWN_RULE
        return RULES.get(self.type) if self.name != self.type else None

    @property
    def documented(self) -> bool:
        """Whether WeChat says anywhere what a value has to look like."""
        return self.rule is not None


def type_of(name: str) -> str:
    """The type a key stands for: ``thing1`` is a thing; ``first`` and ``result`` are themselves."""
    return name.rstrip("0123456789") or name


# The published sample has blanks, "{ {result.DATA} }", the console has none. No two neighbouring
# parts can match the same character, so no content makes this slow.
_PLACEHOLDER = re.compile(r"\{[^\S\n]*\{[^\S\n]*([A-Za-z0-9_]+)\.DATA[^\S\n]*\}[^\S\n]*\}")


@lru_cache(maxsize=512)
def parse(content: str) -> tuple[Field, ...]:
    """The fields of a template's ``content`` in order, each name once; () where there is none.

    A label is what stands before the placeholder on its line, or since the previous placeholder,
    without blanks and a closing colon; it may be empty. Never raises, whatever the text.
    """
    found: dict[str, Field] = {}
    for line in content.splitlines():
        end = 0
        for match in _PLACEHOLDER.finditer(line):
            name = match[1]
            label = line[end : match.start()].rstrip(" \t\xa0\u3000:：").lstrip()
            found.setdefault(name, Field(name, label, type_of(name)))
            end = match.end()
    return tuple(found.values())


def check(field: Field, text: str) -> str | None:
    """Why WeChat would refuse ``text`` in this field, in the active language; None if all is well.

    Only documented rules refuse. ``warn()`` says what is merely likely to be refused.
    """
    if not can_be_sent(text):
        return str(_BROKEN)
    rule = field.rule
    return rule.check(text) if rule is not None and rule.refuses else None


def can_be_sent(text: str) -> bool:
    """Whether a body can carry ``text``, and a database store it, whatever the field."""
    return _UNSENDABLE.search(text) is None


def warn(field: Field, text: str, *, approved: Collection[str] = ()) -> str | None:
    """What may go wrong although ``check()`` lets ``text`` pass; None if nothing is known.

    ``approved``: the values of a const or enum known to be accepted, where any are known.
    """
    rule = field.rule
    if rule is None or (field.type == "keyword" and EMOJI.search(text)):
        return str(_EMOJI if EMOJI.search(text) else _UNDOCUMENTED)
    if field.name in NOT_SHOWN:
        return str(_("must be %(rule)s") % {"rule": rule.message})
    if not rule.refuses:
        return rule.check(text)
    if field.type in LISTED and text and approved and text not in approved:
        return str(_UNAPPROVED)
    # 656887888.00 gave 47003 (docs/wechat-api.md, 2.5).
    if field.type == "amount" and sum(char.isdigit() for char in text) > 10:
        return str(_MANY_DIGITS)
    return None


def trim(field: Field, text: str) -> str:
    """``text`` on one line and within the limit, shortened with "…", if the field is a ``thing``.

    Every other type comes back unchanged: a phone number cut short is another phone number.
    """
    if field.type != "thing" or field.rule is None:
        return text
    if CONTROL.search(text):
        text = CONTROL.sub(" ", text).strip()
    return shorten(text, 20)


class Row(NamedTuple):
    """One line of a card. Either text may be empty."""

    label: str
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """A template message as people see it."""

    title: str
    rows: tuple[Row, ...]


def card(title: str, content: str, data: Mapping[str, object]) -> Card:
    """The card for ``data`` (name to text, or to ``{"value": text}``), in the order of ``content``.

    A field without data has an empty value; first and remark have no row, for the real card has
    none. Without content (a template registered by hand) every key is its own label.
    """
    fields = parse(content) or tuple(Field(name, name, "") for name in data)
    return Card(
        title,
        tuple(
            Row(field.label, _value(data.get(field.name)))
            for field in fields
            if field.name not in NOT_SHOWN
        ),
    )


def _value(entry: object) -> str:
    value = entry.get("value") if isinstance(entry, Mapping) else entry
    return "" if value is None else str(value)
