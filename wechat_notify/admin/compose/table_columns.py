"""What the columns of a table mean: whom a row is for, and which fields it fills."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ...exceptions import UnreadableTable
from ...models import MessageTemplate
from ...wechat.fields import Field
from ...wechat.naming import words_of

OPENID, FULL_NAME = "openid", "full name"
"""Ways to name a person that are no lookup of the user model."""

# As spreadsheets of a school or a shop have them, in whatever language the admin is.
_USER_NAMES = ("user name", "login", "用户名", "账号", "登录名")
_E_MAILS = ("e-mail", "e-mail address", "邮箱", "电子邮箱", "电子邮件", "电子邮箱地址")
_FULL_NAMES = ("full name", "name", "姓名", "名字")

_BETWEEN_WORDS = re.compile(r"[\s_\-]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns by their position.

    ``people``: ways to name a person, the surest first. ``fields``: keys of the template's fields.
    ``unused``: headings that mean nothing here.
    """

    people: tuple[tuple[int, str], ...]
    fields: Mapping[int, str]
    unused: tuple[str, ...]


def ways_to_name(declared: Mapping[str, str]) -> dict[str, str]:
    """From a heading to a way to name a person: ``OPENID``, ``FULL_NAME`` or a lookup of users.

    ``declared``: the site's own headings with their lookups. The surest way comes first.
    """
    model: Any = get_user_model()
    fields = {field.name: str(field.verbose_name) for field in model._meta.concrete_fields}
    ways = {_plain("openid"): OPENID}
    ways |= {_plain(heading): lookup for heading, lookup in declared.items()}
    lookups = ((model.USERNAME_FIELD, _USER_NAMES), (model.get_email_field_name(), _E_MAILS))
    for lookup, headings in lookups:
        if lookup in fields:
            for heading in (lookup, fields[lookup], *headings):
                ways.setdefault(_plain(heading), lookup)
    for heading in _FULL_NAMES:
        ways.setdefault(_plain(heading), FULL_NAME)
    return ways


def person_headings(declared: Mapping[str, str]) -> list[str]:
    """One heading for each way to name a person, as people write it."""
    model: Any = get_user_model()
    fields = {field.name: str(field.verbose_name) for field in model._meta.concrete_fields}
    lookups = dict.fromkeys((model.USERNAME_FIELD, model.get_email_field_name()))
    own = [fields[name] for name in lookups if name in fields]
    return ["openid", *declared, *own, pgettext("heading of a table", "full name")]


def understand_columns(
    headings: Sequence[str], template: MessageTemplate, declared: Mapping[str, str]
) -> Columns:
    """What each heading means. A heading may name the person and fill a field: 姓名.

    Raises ``UnreadableTable`` if no column names a person, or if two are for the same field.
    """
    ways = ways_to_name(declared)
    plain = [_plain(heading) for heading in headings]
    keys = _keys(template)
    fields = {at: keys[word] for at, word in enumerate(plain) if word in keys}
    if twice := [key for key, number in Counter(fields.values()).items() if number > 1]:
        same = ", ".join(headings[at] for at, key in fields.items() if key == twice[0])
        raise UnreadableTable(_("These columns are for the same field: %s.") % same)
    order = list(dict.fromkeys(ways.values()))
    named = [(at, ways[word]) for at, word in enumerate(plain) if word in ways]
    # What also fills a field is the last to name a person by.
    named.sort(key=lambda one: (one[0] in fields, order.index(one[1]), one[0]))
    if not named:
        raise UnreadableTable(
            _("No column names a person. The first line needs one of these: %s.")
            % ", ".join(person_headings(declared))
        )
    used = {*fields, *(at for at, _way in named)}
    unused = tuple(heading for at, heading in enumerate(headings) if heading and at not in used)
    return Columns(tuple(named), fields, unused)


def _keys(template: MessageTemplate) -> dict[str, str]:
    """From a heading to the key of a field: by its key, the site's name for it, or its label.

    A label that two fields have means neither.
    """
    fields: Iterable[Field] = template.fields
    labels = Counter(_plain(field.label) for field in fields)
    words = words_of(template.field_names)
    keys = {_plain(f.label): f.name for f in fields if labels[_plain(f.label)] == 1 and f.label}
    keys |= {_plain(words[field.name]): field.name for field in fields if field.name in words}
    return keys | {_plain(field.name): field.name for field in fields}


def _plain(heading: str) -> str:
    """A heading without what people write differently: case, width, blanks and hyphens."""
    return _BETWEEN_WORDS.sub("", unicodedata.normalize("NFKC", heading)).casefold().rstrip(":")
