"""Lets a name point to another template, while code uses it and messages wait."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from . import declarations
from .exceptions import InvalidData, Problem
from .models import (
    REVISED,
    MessageTemplate,
    Notification,
    SendLog,
    SendLogQuerySet,
    database,
    pages_by_key,
)
from .proposals import propose_fields
from .wechat.fields import NOT_SHOWN
from .wechat.naming import carried_over, words_of

CHUNK = 2_000
MOST_CHECKED = 20_000
REASONS = 20

# What belongs to the name, and goes to the new template where that has none of its own.
LINK = ("url", "miniprogram_appid", "miniprogram_pagepath")


@dataclass(frozen=True)
class ReplacementReview:
    """What a replacement would do.

    ``field_names``: those that the new template would have. ``problems``: why it cannot be done.
    ``differences``: fields whose values had to keep another rule until now. ``waiting``: messages
    that would leave with the new template; of the ``checked`` ones, ``refused`` says how many
    would be refused, by reason. ``in_doubt``: messages that may have been sent; they are never
    sent with another template.
    """

    old: MessageTemplate
    new: MessageTemplate
    field_names: dict[str, str]
    problems: list[Problem]
    differences: list[Problem] = field(default_factory=list)
    waiting: int = 0
    checked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    in_doubt: int = 0


def review_replacement(
    old: MessageTemplate, new: MessageTemplate, fields: Mapping[str, str] | None = None
) -> ReplacementReview:
    """What ``replace_template()`` would do with these arguments. Nothing is changed.

    Looks at the data of the first 20,000 waiting messages.
    """
    names = _names_for(old, new, fields)
    problems = _problems(old, new, names)
    waiting = _waiting(old)
    in_doubt = waiting.filter(in_doubt_since__isnull=False)
    fresh = waiting.filter(in_doubt_since__isnull=True)
    checked, refused = (0, Counter[str]()) if problems else _check(fresh, new, names)
    return ReplacementReview(
        old,
        new,
        names,
        problems,
        list(_differences(old, new, names)),
        fresh.count(),
        checked,
        dict(refused.most_common(REASONS)),
        in_doubt.count(),
    )


def move_name(
    old: MessageTemplate, new: MessageTemplate, fields: Mapping[str, str] | None
) -> MessageTemplate:
    """Give the name of ``old``, and its waiting messages, to ``new``. Call inside a transaction.

    Returns ``new`` as it is now. Raises ``InvalidData`` with all problems, and nothing is changed.
    """
    no_key = database().features.has_select_for_no_key_update
    locked = MessageTemplate.objects.select_for_update(no_key=no_key).order_by("pk")
    found = {one.pk: one for one in locked.filter(pk__in=[old.pk, new.pk])}
    before, after = found[old.pk], found[new.pk]
    names = _names_for(before, after, fields)
    if problems := _problems(before, after, names):
        raise InvalidData(problems, template=before.name)
    before.save(update_fields=["revision"])
    name = before.name
    before.name = _spare_name(before)
    before.save(update_fields=["name"])
    after.name, after.field_names = name, names
    if not any(getattr(after, one) for one in LINK):
        for one in LINK:
            setattr(after, one, getattr(before, one))
    if after.stand_in_id is None and before.stand_in_id != after.pk:
        after.stand_in_id = before.stand_in_id
    elif after.stand_in_id == after.pk:
        after.stand_in_id = None
    after.save()
    _move_waiting(before, after)
    return after


def names_in_use(template: MessageTemplate, names: Iterable[str]) -> list[str]:
    """Those of these field names that waiting messages of the template use.

    So do those of the templates that it stands in for.
    """
    mine = Q(notification__template=template) | Q(notification__template__stand_in=template)
    waiting = SendLog.objects.filter(mine, status__in=SendLog.OPEN)
    return [
        name
        for name in names
        if waiting.filter(Q(notification__data__has_key=name) | Q(data__has_key=name)).exists()
    ]


def _names_for(
    old: MessageTemplate, new: MessageTemplate, fields: Mapping[str, str] | None
) -> dict[str, str]:
    return propose_fields(old, new) if fields is None else dict(fields)


def _problems(
    old: MessageTemplate, new: MessageTemplate, names: Mapping[str, str]
) -> list[Problem]:
    return [*_template_problems(old, new), *new.name_problems(names), *_left_out(old, new, names)]


def _template_problems(old: MessageTemplate, new: MessageTemplate) -> Iterator[Problem]:
    if old.pk == new.pk:
        yield Problem("new", _("is the same template"), new.name)
    if old.account != new.account:
        yield Problem("new", _("belongs to another account"), new.account)
    if not new.is_active:
        yield Problem("new", _("is not active"), new.name)
    if declarations.fields_of(new.name, new.account) is not None:
        text = _("is used in code by its own name, %(name)s, which it would lose")
        yield Problem("new", text % {"name": new.name}, new.name)


def _left_out(
    old: MessageTemplate, new: MessageTemplate, names: Mapping[str, str]
) -> Iterator[Problem]:
    """What code gives and has no field in the new template; fields that nothing fills in."""
    for label in _labels(old):
        if label not in names and label not in {one.name for one in new.fields}:
            yield Problem(label, _("has no field in the new template; leave it out, or map it"))
    given = {names.get(label, label) for label in _labels(old)}
    for one in new.fields:
        if one.name not in NOT_SHOWN and one.name not in given:
            text = _("is a field of the new template that nothing fills in")
            yield Problem(one.name, text, other_name=one.label)


def _labels(template: MessageTemplate) -> list[str]:
    """What code gives: each field by its name, or by its key if it has none; and unused names."""
    words = words_of(template.field_names)
    shown = [one.name for one in template.fields if one.name not in NOT_SHOWN]
    fields = [words.get(key, key) for key in shown]
    return list(dict.fromkeys([*fields, *template.field_names]))


def _differences(
    old: MessageTemplate, new: MessageTemplate, names: Mapping[str, str]
) -> Iterator[Problem]:
    then = {one.name: one for one in old.fields}
    now = {one.name: one for one in new.fields}
    for label in _labels(old):
        before = then.get(old.field_names.get(label, label))
        after = now.get(names.get(label, label))
        if before is None or after is None or before.rule is after.rule or after.rule is None:
            continue
        text = _("must be %(rule)s from now on") % {"rule": after.rule.message}
        yield Problem(label, text, other_name=after.name)


def _waiting(template: MessageTemplate) -> SendLogQuerySet:
    return SendLog.objects.waiting().filter(notification__template=template)


def _check(
    waiting: SendLogQuerySet, new: MessageTemplate, names: dict[str, str]
) -> tuple[int, Counter[str]]:
    """How many messages were looked at, and how many have data that does not fit, by reason."""
    target = MessageTemplate(**{name: getattr(new, name) for name in REVISED})
    target.field_names = names
    shared: dict[int, str] = {}
    refused: Counter[str] = Counter()
    checked = 0
    for page in pages_by_key(waiting.select_related("notification__revision"), CHUNK):
        for log in page:
            notification = log.notification
            if log.data or notification.pk not in shared:
                _wire, wrong = carried_over(log.merged_data, notification.revision, target)
                reason = "; ".join(str(problem) for problem in wrong)
                if not log.data:
                    shared[notification.pk] = reason
            else:
                reason = shared[notification.pk]
            checked += 1
            if reason:
                refused[reason] += 1
        if checked >= MOST_CHECKED:
            break
    return checked, refused


def _spare_name(template: MessageTemplate) -> str:
    """A free name for a template that loses its own."""
    taken = _names_like(template)
    stem = template.name[:90]
    for number in range(len(taken) + 1):
        name = f"{stem}-old" if not number else f"{stem}-old-{number + 1}"
        if name.lower() not in taken:
            break
    return name


def _names_like(template: MessageTemplate) -> set[str]:
    rows = MessageTemplate.objects.filter(account=template.account)
    return {name.lower() for name in rows.values_list("name", flat=True)}


def _move_waiting(old: MessageTemplate, new: MessageTemplate) -> None:
    """Messages that are not sent yet leave with ``new``.

    What was written before a field of ``old`` had its name is known by that name from now on.
    """
    open_rows = SendLog.objects.filter(status__in=SendLog.OPEN, account=old.account)
    theirs: QuerySet[Any] = Notification.objects.filter(
        template=old, pk__in=open_rows.order_by().values("notification_id")
    )
    pks = list(theirs.values_list("pk", flat=True))
    using = database().alias
    with transaction.atomic(using=using):
        for start in range(0, len(pks), CHUNK):
            some = Notification.objects.filter(pk__in=pks[start : start + CHUNK])
            known = Q(revision__isnull=True) | Q(revision__template_id=old.template_id)
            same = list(some.filter(known).values_list("pk", flat=True))
            Notification.objects.filter(pk__in=same).update(revision=old.revision)
            some.update(template=new)
