"""What each message and event from WeChat changes."""

import logging

from ..binding import follow_state
from ..binding.by_qrcode import on_scan
from ..models import DATABASE_TROUBLE
from ..receipts.soon import settle_soon
from ..receipts.store import store
from ..signals import callback_received
from ..wechat.incoming import Event, Message

logger = logging.getLogger(__name__)

UNSUBSCRIBE = "unsubscribe"
# Subscription notices reach people who do not follow, too (docs/wechat-api.md, 8).
SUBSCRIPTION_NOTICE = "subscribe_msg_"


def keep(account: str, message: Message) -> None:
    """Write down what must not be lost. A repeat changes nothing, so it needs no guard.

    A receipt is stored, and joined to its row now if that is cheap. A scanned binding code binds.
    Anything that a person does says whether they follow.
    """
    event = message if isinstance(message, Event) else None
    if event is not None and event.is_receipt:
        _receipt(account, event)
        return
    openid, happened_at = message.from_openid, message.created_at
    if event is not None and event.scene:
        on_scan(account, openid, event.scene, happened_at=happened_at)
    if event is not None and event.event == UNSUBSCRIBE:
        follow_state.unsubscribed(account, openid, happened_at=happened_at)
    elif event is None or not event.event.startswith(SUBSCRIPTION_NOTICE):
        follow_state.subscribed(account, openid, happened_at=happened_at)


def tell(account: str, message: Message) -> None:
    """Hand a message or an event to the site's receivers of ``callback_received``."""
    callback_received.send_robust(type(message), account=account, event=message)


def _receipt(account: str, event: Event) -> None:
    store(account, event)
    try:
        settle_soon()
    except DATABASE_TROUBLE:
        # The receipt is stored, and a worker or the next receipt joins it.
        logger.warning("Receipts could not be joined to their rows now.", exc_info=True)
