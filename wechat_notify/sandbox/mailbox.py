"""The messages that arrived, and what of them each phone has seen."""

import threading
import time
from collections import Counter, defaultdict, deque

from .clock import Clock
from .records import PhoneMessage

# The same openid and client_msg_id within ten minutes is one message (docs/wechat-api.md, 2.1).
REPEAT_WINDOW = 600


class Mailbox:
    """Every accepted message in order. Safe to share between threads.

    ``keep`` bounds how many are kept whole (None: all); counts stay exact whatever is kept.
    """

    def __init__(self, clock: Clock, *, keep: int | None = None) -> None:
        self._clock = clock
        self._keep = keep
        self._lock = threading.Lock()
        # Message ids are 64 bits wide today (docs/wechat-api.md, 2.1); a clock's worth of room
        # keeps those of two sandboxes apart.
        self._next_id = int(time.time() * 1000) << 20
        self._forget()

    def _forget(self) -> None:
        self._messages: deque[PhoneMessage] = deque()
        self._by_openid: defaultdict[str, deque[PhoneMessage]] = defaultdict(deque)
        self._accepted: dict[tuple[str, str], tuple[int, float]] = {}
        self._read: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.duplicates = 0
        self.version = 0

    def accept(
        self, openid: str, template_id: str, client_msg_id: str, raw: bytes
    ) -> tuple[PhoneMessage | None, int]:
        """Record a message: it and its msgid.

        None and the first one's msgid where the same openid and client_msg_id came within ten
        minutes; such a repeat is counted in ``duplicates`` and nowhere else.
        """
        now = self._clock.time()
        key = (openid, client_msg_id)
        with self._lock:
            if client_msg_id:
                msgid, at = self._accepted.get(key, (0, 0.0))
                if msgid and now - at < REPEAT_WINDOW:
                    self.duplicates += 1
                    return None, msgid
            self._next_id += 1
            message = PhoneMessage(self._next_id, now, openid, template_id, client_msg_id, raw)
            if client_msg_id:
                self._accepted[key] = (message.msgid, now)
            self._put(message)
        return message, message.msgid

    def _put(self, message: PhoneMessage) -> None:
        self._messages.append(message)
        self._by_openid[message.openid].append(message)
        self.counts[message.openid] += 1
        self.total += 1
        self.version += 1
        if self._keep is not None and len(self._messages) > self._keep:
            # The oldest of all is the oldest of its person too.
            self._by_openid[self._messages.popleft().openid].popleft()

    def messages(self, openid: str | None = None) -> list[PhoneMessage]:
        """The kept messages in the order they came; of one person where given."""
        with self._lock:
            if openid is None:
                return list(self._messages)
            return list(self._by_openid.get(openid, ()))

    def last(self, openid: str) -> PhoneMessage | None:
        """The newest kept message of a person."""
        with self._lock:
            mine = self._by_openid.get(openid)
            return mine[-1] if mine else None

    def unread(self, openid: str) -> bool:
        """Whether a person's newest message came after the last look at the phone."""
        newest = self.last(openid)
        return newest is not None and newest.msgid > self._read.get(openid, 0)

    def mark_read(self, openid: str) -> None:
        """The person has looked."""
        newest = self.last(openid)
        if newest is not None and self.unread(openid):
            self._read[openid] = newest.msgid
            self.version += 1

    def openids(self) -> list[str]:
        """Everybody of whom a message is kept."""
        with self._lock:
            return [openid for openid, box in self._by_openid.items() if box]

    def clear(self) -> None:
        """Forget every message and every client_msg_id; ids go on upwards."""
        with self._lock:
            self._forget()
