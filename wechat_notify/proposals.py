"""Proposes which of a template's fields a name stands for, by the field's type and label.

A person confirms or changes what is proposed; nothing here decides.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .models import MessageTemplate
from .wechat.fields import NOT_SHOWN, Field
from .wechat.naming import words_of

_ENGLISH = re.compile(r"[a-z]+")


class _Kind(NamedTuple):
    """Words of names and of labels that mean the same, and the types of such fields."""

    words: frozenset[str]
    labels: tuple[str, ...]
    types: tuple[str, ...]


def _kind(words: str, labels: str, types: str) -> _Kind:
    return _Kind(frozenset(words.split()), tuple(labels.split()), tuple(types.split()))


_KINDS = (
    _kind("no number code sn id serial", "编号 单号 号码 号", "character_string number letter"),
    _kind("amount price total fee money cost sum paid", "金额 价 费 款 合计", "amount"),
    _kind("at time date day when starts ends since until", "时间 日期 时刻", "time date"),
    _kind("phone mobile tel telephone", "电话 手机", "phone_number"),
    _kind(
        "name person who user buyer student patient guest", "姓名 人 名字 学生 患者", "name thing"
    ),
    _kind("status state result", "状态 结果 进度", "phrase const enum enum_string thing"),
    _kind("title product item goods subject", "商品 名称 标题 项目 主题", "thing"),
    _kind("place address location where room", "地址 地点 位置 场所", "thing"),
    _kind("reason note remark comment text message", "原因 备注 说明 内容", "thing"),
    _kind("car plate", "车牌", "car_number"),
    _kind("count quantity qty", "数量 件数 人数", "number character_string"),
)
_LEAST = 2
"""A type alone is worth so much: with less, nothing is proposed."""


def propose_names(names: Iterable[str], fields: Sequence[Field]) -> dict[str, str]:
    """A key for each name that seems to stand for one of these fields: {name: key}."""
    shown = [field for field in fields if field.name not in NOT_SHOWN]
    wanted = sorted(set(names) - {field.name for field in fields})
    scores = [(_score(name, field), name, field.name) for name in wanted for field in shown]
    found = _best(scores)
    left_names = [name for name in wanted if name not in found]
    left = [field.name for field in shown if field.name not in found.values()]
    if len(left_names) == len(left) == 1:
        found[left_names[0]] = left[0]
    return found


def propose_fields(old: MessageTemplate, new: MessageTemplate) -> dict[str, str]:
    """Field names for ``new``, so that data written for ``old`` can be sent with it.

    Its own names stay. The other names of ``old``, and keys that have none, get a field with the
    same label, or else one of the same type; "" where there is none.
    """
    words = words_of(old.field_names)
    kept = {name: key for name, key in new.field_names.items() if key}
    free = [f for f in new.fields if f.name not in NOT_SHOWN and f.name not in kept.values()]
    own = {field.name for field in new.fields}
    scores = [
        (_likeness(field, other), words.get(field.name, field.name), other.name)
        for field in old.fields
        if field.name not in NOT_SHOWN and words.get(field.name, field.name) not in kept
        for other in free
    ]
    found = _best(scores)
    labels = [words.get(field.name, field.name) for field in old.fields]
    rest = [name for name in (*labels, *old.field_names) if name not in NOT_SHOWN]
    none = {name: "" for name in rest if name not in own}
    return {**none, **found, **kept}


def _best(scores: list[tuple[int, str, str]]) -> dict[str, str]:
    """The pairs with the highest scores, each name and key once."""
    found: dict[str, str] = {}
    for score, name, key in sorted(scores, key=lambda one: -one[0]):
        if score >= _LEAST and name not in found and key not in found.values():
            found[name] = key
    return found


def _score(name: str, field: Field) -> int:
    words = set(_ENGLISH.findall(name.lower()))
    score = 0
    for kind in _KINDS:
        if kind.words & words:
            by_label = any(label in field.label for label in kind.labels)
            score = max(score, 4 * by_label + 2 * (field.type in kind.types))
    return score + 8 * (name == field.label)


def _likeness(old: Field, new: Field) -> int:
    return 4 * (old.label == new.label) + 2 * (old.type == new.type) + (old.name == new.name)
