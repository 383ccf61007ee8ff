"""What a delivery has done so far: a bar on a terminal, now and then a line elsewhere."""

import time

from django.core.management.base import OutputWrapper

from ..delivery.engine import Report

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


class ProgressLine:
    """Call it with reports as they come; leaving its ``with`` wipes the bar off the terminal.

    ``total`` is how many messages there are to handle, 0 where nobody knows.
    """

    def __init__(self, stream: OutputWrapper, *, total: int = 0) -> None:
        self._stream = stream
        self._total = total
        self._terminal = stream.isatty()
        self._begun = self._drawn_at = time.monotonic()
        self._drawn = False

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self._drawn_at < (REDRAW_SECONDS if self._terminal else LINE_SECONDS):
            return
        self._drawn_at = now
        text = f"{self._bar(report.handled)}{in_words(report)}, {self._speed(report, now)}"
        if self._terminal:
            self._stream.write(f"\r{text}{CLEAR_TO_END}", ending="")
            self._drawn = True
        else:
            self._stream.write(text)
        self._stream.flush()

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *error: object) -> None:
        if self._drawn:
            self._stream.write(f"\r{CLEAR_TO_END}", ending="")
            self._stream.flush()

    def _bar(self, handled: int) -> str:
        if not self._total:
            return ""
        share = min(1.0, handled / self._total)
        if not self._terminal:
            return f"{share:4.0%} "
        full = int(BAR_WIDTH * share)
        return f"[{'#' * full}{'.' * (BAR_WIDTH - full)}] {share:4.0%} "

    def _speed(self, report: Report, now: float) -> str:
        seconds = now - self._begun
        return f"{report.handled / seconds:.0f}/s" if seconds > 0 else ""
