"""Sends to a list, for tests.

from wechat_notify.backends import locmem

locmem.clear()
locmem.results.add(43004, openid="oALICE")      # what WeChat would answer
...
assert [message.openid for message in locmem.outbox] == ["oBOB"]
"""

import itertools
import threading
from collections import defaultdict, deque

from ..types import Outcome, SendResult, TemplateMessage
from .base import BaseBackend

outbox: list[TemplateMessage] = []
"""The messages that were accepted, in order."""


class Results:
    """Answers handed in beforehand: those for one openid first, then those for anybody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queued: defaultdict[str, deque[SendResult]] = defaultdict(deque)

    def add(self, result: SendResult | int, *, openid: str = "", times: int = 1) -> None:
        """Answer the next ``times`` messages (to ``openid``, if given) with ``result``.

        An int is an errcode with which WeChat refuses the message.
        """
        if isinstance(result, int):
            result = SendResult(Outcome.REFUSED, result, f"errcode {result}")
        with self._lock:
            self._queued[openid].extend([result] * times)

    def take(self, openid: str) -> SendResult | None:
        """The answer for a message to ``openid``, or None if none was handed in."""
        with self._lock:
            for queue in (self._queued[openid], self._queued[""]):
                if queue:
                    return queue.popleft()
        return None

    def clear(self) -> None:
        """Forget every answer that was not used."""
        with self._lock:
            self._queued.clear()


results = Results()
_msgids = itertools.count(1)


def clear() -> None:
    """Empty the outbox and forget the answers handed in."""
    outbox.clear()
    results.clear()


class LocMemBackend(BaseBackend):
    """Puts each message into ``outbox``, unless ``results`` has another answer.

    Takes repeats as WeChat does, so that tests see what happens after a lost answer.
    """

    supports_repeats = True

    def send(self, message: TemplateMessage) -> SendResult:
        result = results.take(message.openid)
        if result is None:
            result = SendResult(Outcome.ACCEPTED, 0, "ok", msgid=next(_msgids))
        if result.outcome is Outcome.ACCEPTED:
            outbox.append(message)
        return result
