"""People who will not get a message: said before it is sent, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from ...wechat.errors import Words
from ..base import Button


@dataclass(frozen=True, slots=True)
class LeftOut:
    """People who will not get it: why, how many, and the first of them by name. ``ways`` are
    buttons to what can be done about it."""

    reason: Words
    count: int
    named: Sequence[SafeString]
    ways: Sequence[Button] = ()

    @property
    def more(self) -> int:
        return self.count - len(self.named)
