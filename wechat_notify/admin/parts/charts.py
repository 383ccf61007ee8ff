"""Turns numbers into the rectangles of a chart, which templates draw as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ...models import SendLog
from .badges import TONES

Status = SendLog.Status

WIDTH = 100.0

# Delivered first, waiting last: a bar fills from its start while messages are sent.
ORDER = (
    Status.DELIVERED,
    Status.SENT,
    *(status for status in Status if status not in (Status.DELIVERED, Status.SENT, *SendLog.OPEN)),
    Status.SENDING,
    Status.PENDING,
)


@dataclass(frozen=True, slots=True)
class Rect:
    """One coloured piece. Coordinates are texts, so that no locale changes the decimal point."""

    x: str
    y: str
    width: str
    height: str
    tone: str


def segments(counts: Mapping[str, int], scale: int | None = None) -> list[Rect]:
    """One bar, 100 wide and 4 high, with a piece for each status.

    ``scale`` is the number that fills the whole bar; by default the sum of ``counts``.
    """
    full = scale or sum(counts.values())
    pieces, start = [], 0.0
    for status in ORDER:
        if count := counts.get(status, 0):
            width = WIDTH * count / full
            pieces.append(_rect((start, 0, width, 4), TONES[status]))
            start += width
    return pieces


def share(part: int, whole: int, tone: str) -> list[Rect]:
    """A bar like that of ``segments`` with a single piece; a script may make it wider."""
    width = WIDTH * min(part, whole) / whole if whole else 0
    return [_rect((0, 0, width, 4), tone)]


@dataclass(frozen=True, slots=True)
class Column:
    """One day: where its column begins, and its pieces, one on top of the other."""

    day: date
    x: str
    total: int
    pieces: list[Rect]


COLUMN, GAP, HEIGHT = 18, 4, 160


def columns(days: Sequence[tuple[date, Mapping[str, int]]]) -> list[Column]:
    """A column for each day, 18 wide with 4 between, the highest 160 high; y grows downwards."""
    most = max((sum(counts.values()) for _day, counts in days), default=0)
    return [_column(number, day, counts, most) for number, (day, counts) in enumerate(days)]


def _column(number: int, day: date, counts: Mapping[str, int], most: int) -> Column:
    x = number * (COLUMN + GAP)
    pieces, top = [], float(HEIGHT)
    for status in ORDER:
        if count := counts.get(status, 0):
            height = HEIGHT * count / most
            top -= height
            pieces.append(_rect((x, top, COLUMN, height), TONES[status]))
    return Column(day, str(x), sum(counts.values()), pieces)


def _rect(place: tuple[float, float, float, float], tone: str) -> Rect:
    """A piece at ``place``: x, y, width, height."""
    x, y, width, height = (f"{number:.3f}" for number in place)
    return Rect(x, y, width, height, tone)
