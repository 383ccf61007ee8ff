"""People who will not get a message: said before it is sent, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from ...wechat.errors import Words


@dataclass(frozen=True, slots=True)
class LeftOut:
    """People who will not get it: why, how many, and the first of them by name."""

    reason: Words
    count: int
    named: Sequence[SafeString]

    @property
    def more(self) -> int:
        return self.count - len(self.named)
