"""Sends in the caller's own process, directly after the commit."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..models import Notification
from ..sending.wanted import Wanted
from .base import BaseDispatcher, keys_of
from .due import warn_of_waiting
from .limited_time import deliver_within

LIMIT = 500


class InlineDispatcher(BaseDispatcher):
    """Sends at once, in the caller's process, after the commit. No worker needed.

    Option ``limit``: the most messages to send, by default 500. After ten seconds no new message
    is sent either, because a web request may be waiting. Messages that are left, that are to be
    tried again or that are due later stay ``pending``, and a warning is logged: let cron run
    ``manage.py wechat_deliver`` every minute. ``limit`` None: all messages, with no time limit.
    """

    option_names = frozenset({"limit"})

    seconds: ClassVar[float] = 10.0
    """How long a web request waits at most before the rest is left to workers."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.limit: int | None = options.get("limit", LIMIT)
        if self.limit is not None and (type(self.limit) is not int or self.limit < 1):
            raise self._wrong_option("limit", "a positive whole number or None")

    def dispatch(self, notification: Notification) -> None:
        self.dispatch_all([notification])

    def dispatch_all(self, notifications: Sequence[Notification]) -> None:
        keys = keys_of(notifications)
        accounts = {account for account, _pk in keys}
        deliver_within(
            None if self.limit is None else self.seconds,
            account=accounts.pop() if len(accounts) == 1 else None,
            wanted=Wanted(keys),
            limit=self.limit,
        )
        warn_of_waiting([pk for _account, pk in keys])
