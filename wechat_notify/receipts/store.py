"""A delivery receipt is stored with one INSERT before WeChat gets its answer."""

import logging
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, router, transaction

from ..models import Receipt
from ..wechat.forks import PerProcess

if TYPE_CHECKING:  # it would load the XML parser
    from ..wechat.incoming import Event

logger = logging.getLogger(__name__)


def store(account: str, event: "Event") -> None:
    """Store a receipt with one INSERT. A receipt that is stored already stays as it is.

    Not ``bulk_create(ignore_conflicts=True)``: that opens a transaction around the statement, and
    when many receipts come at once, each write to SQLite would take three round trips, not one.
    """
    length = Receipt._meta.get_field("status").max_length
    receipt = Receipt(
        account=account,
        openid=event.from_openid,
        msgid=event.msgid,
        status=event.status[:length],
        event_at=event.created_at,
    )
    using = router.db_for_write(Receipt)
    inside = connections[using].in_atomic_block
    try:
        with transaction.atomic(using=using) if inside else turns.take(using):
            receipt.save(using=using, force_insert=True)
    except IntegrityError:
        logger.debug("A receipt of account %r came again.", account)


class Turns:
    """A lock for SQLite, which has one writer at a time: this process's writers wait here.

    In SQLite itself a waiting writer sleeps for up to 100 ms before it tries again, in no order.
    When many receipts come at once, some requests would wait long. A lock wakes the next at once.
    """

    def __init__(self) -> None:
        self._lock = PerProcess(threading.Lock)

    def take(self, using: str) -> AbstractContextManager[Any]:
        connection = connections[using]
        alone = connection.vendor == "sqlite" and not connection.in_atomic_block
        return self._lock.get() if alone else nullcontext()


turns = Turns()
