"""The sandbox's own time, which a test can move forward."""

import time
from datetime import datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")


class Clock:
    """Wall-clock seconds plus whatever a test has added."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` go by at once: tokens age, windows close."""
        self._ahead += seconds

    def today(self) -> str:
        """The day in Beijing, by which daily limits are counted.

        That WeChat's day begins at midnight there is not documented (docs/wechat-api.md, 10).
        """
        return datetime.fromtimestamp(self.time(), BEIJING).date().isoformat()
