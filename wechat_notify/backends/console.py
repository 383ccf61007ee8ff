"""Sends to the terminal, for development."""

import itertools
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from ..conf import AccountConfig
from ..types import Outcome, SendResult, TemplateMessage
from ..wechat.masking import mask_openid
from .base import BaseBackend


class ConsoleBackend(BaseBackend):
    """Prints each message, and accepts it with a msgid of its own making.

    Options: ``stream``, the text stream to print to; sys.stdout where it is not given.
    """

    option_names = frozenset({"stream"})

    def __init__(self, account: AccountConfig) -> None:
        super().__init__(account)
        self._lock = threading.Lock()
        self._msgids = itertools.count(1)

    def send(self, message: TemplateMessage) -> SendResult:
        # Looked up now: sys.stdout may have been replaced since the backend was made.
        stream: TextIO = self.options.get("stream") or sys.stdout
        with self._lock:
            msgid = next(self._msgids)
            stream.write("\n".join(self._lines(message, msgid)) + "\n\n")
            stream.flush()
        return SendResult(Outcome.ACCEPTED, 0, "ok", msgid=msgid)

    def check(self) -> list[CheckMessage]:
        if django_settings.DEBUG:
            return []
        return [
            CheckWarning(
                f'WECHAT_NOTIFY account "{self.account.alias}" prints its messages and sends none.',
                hint="Leave out BACKEND to send over WeChat.",
                id="wechat_notify.W012",
            )
        ]

    def _lines(self, message: TemplateMessage, msgid: int) -> Iterator[str]:
        yield f"WeChat template message {msgid} ({self.account.alias})"
        yield f"  to          {mask_openid(message.openid)}"
        yield f"  template    {message.template_id}"
        for name, entry in message.data.items():
            yield f"  {name:<11} {entry.get('value', '')}"
        if message.url:
            yield f"  url         {message.url}"
        if message.miniprogram:
            yield f"  miniprogram {message.miniprogram['appid']} {message.miniprogram['pagepath']}"
