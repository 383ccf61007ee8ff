"""What a notification is called, and the text that it is found by."""

from collections.abc import Mapping
from typing import Any

from ..wechat.fields import Card
from ..wechat.text import CONTROL, shorten

TITLE_LENGTH = 100
VALUES_IN_TITLE = 2


def title_of(card: Card) -> str:
    """The first values of a card, such as "2026112301 · 围巾"; "" where it has none."""
    values = [row.value for row in card.rows if row.value][:VALUES_IN_TITLE]
    return as_title(" · ".join(values))


def as_title(text: str) -> str:
    """``text`` on one line, and no longer than a title may be."""
    return shorten(CONTROL.sub(" ", text).strip(), TITLE_LENGTH)


def searchable(title: str, data: Mapping[str, Any]) -> str:
    """Title and shared values, one a line and without the difference of capital letters.

    A column of its own: databases without a JSON type keep Chinese escaped in their JSON text.
    """
    values = (
        entry.get("value") if isinstance(entry, Mapping) else entry for entry in data.values()
    )
    lines = [title, *(str(value) for value in values if value is not None)]
    return folded("\n".join(line for line in lines if line))


def folded(text: str) -> str:
    """``text`` as ``searchable()`` makes it."""
    return text.casefold()
