"""What WeChat tells the account, and what is done about it."""

import logging

from django.db import OperationalError

from ..binding import follow_state
from ..binding.by_qrcode import on_scan
from ..delivery import receipts
from ..signals import callback_received
from ..wechat.incoming import Event, Message

logger = logging.getLogger(__name__)


def handle(account: str, message: Message) -> None:
    """Deal with one message or event. What it does a second time changes nothing.

    A receipt is stored, and joined to its row here and now if that is cheap. A scanned binding
    code binds, news about following is written down. All but receipts are handed to the site's
    receivers of ``callback_received``.
    """
    if isinstance(message, Event):
        if message.is_receipt:
            _receipt(account, message)
            return
        if message.scene:
            on_scan(account, message.from_openid, message.scene, happened_at=message.created_at)
        _following(account, message)
    callback_received.send_robust(type(message), account=account, event=message)


def _receipt(account: str, event: Event) -> None:
    receipts.store(account, event)
    try:
        receipts.settle_in_passing()
    except OperationalError:
        # The receipt is safe, and somebody else will join it.
        logger.warning("Receipts could not be joined to their rows now.", exc_info=True)


def _following(account: str, event: Event) -> None:
    openid, happened_at = event.from_openid, event.created_at
    if event.event == "unsubscribe":
        follow_state.unsubscribed(account, openid, happened_at=happened_at)
    elif event.event in ("subscribe", "scan"):
        # Only a follower's scan is a SCAN (WECHAT.md 5), so it says the same.
        follow_state.subscribed(account, openid, happened_at=happened_at)
