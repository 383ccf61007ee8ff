"""A line on a terminal that says how far a long command has come; nothing anywhere else."""

import time

from django.core.management.base import OutputWrapper

from .progress import BAR_WIDTH, CLEAR_TO_END, REDRAW_SECONDS


class Bar:
    """Call it with what is done, of how much, in which words. Leaving its ``with`` wipes it off."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._drawn_at = -REDRAW_SECONDS

    def __call__(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if not self._terminal or now - self._drawn_at < REDRAW_SECONDS:
            return
        self._drawn_at = now
        share = min(1.0, done / total) if total else 0.0
        filled = int(BAR_WIDTH * share)
        drawn = f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {share:4.0%} {text}"
        self._stream.write(f"\r{drawn}{CLEAR_TO_END}", ending="")
        self._stream.flush()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        if self._terminal:
            self._stream.write(f"\r{CLEAR_TO_END}", ending="")
            self._stream.flush()
