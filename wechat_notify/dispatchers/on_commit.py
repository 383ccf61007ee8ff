"""Hands notifications over after the commit, all of one transaction together; and says before
whether they could be sent.
"""

import threading
import weakref
from collections.abc import Sequence

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..backends.registry import get_backend
from ..conf import settings
from ..models import Notification, database
from .base import BaseDispatcher, get_dispatcher

_lock = threading.Lock()
_last: weakref.WeakKeyDictionary[BaseDatabaseWrapper, "weakref.ref[_Chain]"]
_last = weakref.WeakKeyDictionary()


class _Chain:
    """The hooks of one transaction, in order.

    Only Django holds the hooks, and drops those of a savepoint that is rolled back; so what is
    left here of a hook that was dropped is a dead reference. The hooks hold the chain.
    """

    def __init__(self) -> None:
        self.hooks: list[weakref.ref[_Hook]] = []


class _Hook:
    """One ``on_commit`` hook. The first that runs does the work of those after it."""

    def __init__(self, dispatcher: BaseDispatcher, notifications: Sequence[Notification]) -> None:
        self.dispatcher = dispatcher
        self.notifications = list(notifications)
        self.chain = _chain()
        self.chain.hooks.append(weakref.ref(self))
        # Django logs a hook that fails by this name.
        self.__qualname__ = "wechat_notify.dispatchers.on_commit"

    def __call__(self) -> None:
        hooks = [hook for one in self.chain.hooks if (hook := one()) is not None]
        merged: list[Notification] = []
        for hook in hooks[hooks.index(self) :]:
            merged += hook.notifications
            hook.notifications = []
        if merged:
            once = {notification.pk: notification for notification in merged}
            self.dispatcher.dispatch_all(list(once.values()))


def hand_over_on_commit(dispatcher: BaseDispatcher, notifications: Sequence[Notification]) -> None:
    """Have these sent when the current transaction commits; at once, if there is none.

    Twenty calls in one transaction are one call of ``dispatch_all()``.
    """
    # robust: a broker that is down must not fail the request whose rows are already safe.
    hook = _Hook(dispatcher, notifications)
    transaction.on_commit(hook, using=database().alias, robust=True)


def _chain() -> _Chain:
    """The chain of the connection's transaction, or a new one: the old one's hooks are gone."""
    connection = database()
    with _lock:
        last = _last.get(connection)
        chain = last() if last is not None else None
        if chain is None or not any(hook() for hook in chain.hooks):
            chain = _Chain()
            _last[connection] = weakref.ref(chain)
        return chain


def ready_to_send(account: str) -> BaseDispatcher:
    """The dispatcher for this account's messages.

    Wrong settings are raised here, to the caller, and not logged by a worker.
    """
    settings.require_time_zones()
    get_backend(account)
    return get_dispatcher()
