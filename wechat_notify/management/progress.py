"""How far a long command has come: a bar on a terminal, now and then a line elsewhere."""

import math
import time

from django.core.management.base import OutputWrapper

from ..sending.report import Report

BAR_WIDTH = 24
REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
CLEAR_TO_END = "\x1b[K"

WORDS = {
    "sent": "sent",
    "failed": "failed",
    "pending": "to be tried again",
    "uncertain": "uncertain",
    "expired": "expired",
}


def in_words(report: Report) -> str:
    """The counts of a report: ``1200 sent, 4 failed, 30 to be tried again``."""
    told = [status for status in WORDS if report.counts[status] or status == "sent"]
    return ", ".join(f"{report.counts[status]} {WORDS[status]}" for status in told)


class Bar:
    """Call it with what is done, of how much (0: not known), in which words.

    A terminal's line is drawn again every ``redraw_seconds``, and leaving the ``with`` wipes it
    off. Anything else gets a plain line every ``line_seconds``; by default none.
    """

    def __init__(
        self,
        stream: OutputWrapper,
        *,
        redraw_seconds: float = REDRAW_SECONDS,
        line_seconds: float = math.inf,
    ) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._seconds = redraw_seconds if self._terminal else line_seconds
        self._written_at = -math.inf if self._terminal else time.monotonic()

    def __call__(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if now - self._written_at < self._seconds:
            return
        self._written_at = now
        self._write(f"{self._share(done, total)}{text}")

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal:
            self._write("")

    def _write(self, text: str) -> None:
        if self._terminal:
            self._stream.write(f"\r{text}{CLEAR_TO_END}", ending="")
        else:
            self._stream.write(text)
        self._stream.flush()

    def _share(self, done: int, total: int) -> str:
        if not total:
            return ""
        share = min(1.0, done / total)
        full = int(BAR_WIDTH * share)
        bar = f"[{'#' * full}{'.' * (BAR_WIDTH - full)}] " if self._terminal else ""
        return f"{bar}{share:4.0%} "


class ProgressLine:
    """The progress of a delivery: call it with its reports, inside its ``with``.

    ``total`` is how many messages there are to handle, 0 where nobody knows.
    """

    def __init__(
        self,
        stream: OutputWrapper,
        *,
        total: int = 0,
        redraw_seconds: float = REDRAW_SECONDS,
        line_seconds: float = LINE_SECONDS,
    ) -> None:
        self._bar = Bar(stream, redraw_seconds=redraw_seconds, line_seconds=line_seconds)
        self._total = total
        self._begun = time.monotonic()

    def __call__(self, report: Report) -> None:
        seconds = time.monotonic() - self._begun
        speed = f"{report.handled / seconds:.0f}/s" if seconds > 0 else ""
        self._bar(report.handled, self._total, f"{in_words(report)}, {speed}")

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)
