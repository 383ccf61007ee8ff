"""Other apps' signals to ``notify()``.

    @notify_on(post_save, sender=Leave, template="leave_requested", fields=["name1"])
    def tell_managers(instance, created, **kwargs):
        if created:
            return {"users": managers_of(instance), "data": {"name1": instance.person}}

Put such functions where the site's ``AppConfig.ready()`` imports them, as for any receiver.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.dispatch import Signal

from . import services
from .conf import DEFAULT_ACCOUNT
from .declarations import declare
from .models import MessageTemplate, Notification
from .signals import notify_requested

Receiver = TypeVar("Receiver", bound=Callable[..., Any])


def notify_on(
    signal: Signal | Sequence[Signal],
    *,
    sender: Any = None,
    template: MessageTemplate | str,
    account: str | None = None,
    fields: Iterable[str] | None = None,
    **connect_options: Any,
) -> Callable[[Receiver], Receiver]:
    """Notify when ``signal`` is sent (by ``sender``) and the decorated function says whom of what.

    The function gets the signal's own arguments. It returns None to send nothing, or a dict of
    ``notify()``'s arguments: ``users`` and ``data``, and any of its options. Further keywords,
    such as ``dispatch_uid``, go to ``Signal.connect``.

    A ``template`` given by name is declared (see ``declarations``): the system checks tell when it
    is not registered, or when it has other fields than the names in ``fields``.

    The function itself is returned unchanged. What ``notify()`` raises, it raises in the code
    that sent the signal; nothing is written then.
    """
    if isinstance(template, str):
        declare(template, fields=fields, account=account or DEFAULT_ACCOUNT)

    def decorate(function: Receiver) -> Receiver:
        @functools.wraps(function)
        def receiver(sender: Any, **kwargs: Any) -> Notification | None:
            wanted = function(sender=sender, **kwargs)
            if wanted is None:
                return None
            options = {"template": template, "account": account, **wanted}
            return services.notify(source=Notification.Source.SIGNAL, **options)

        for one in [signal] if isinstance(signal, Signal) else signal:
            # Django keeps only a weak reference by default, and nobody else holds this wrapper.
            one.connect(receiver, sender=sender, weak=False, **connect_options)
        return function

    return decorate


def connect() -> None:
    """Answer ``notify_requested``. Called once, when the app is ready."""
    notify_requested.connect(_notify, dispatch_uid="wechat_notify.triggers")


def _notify(sender: Any, **kwargs: Any) -> Notification:
    kwargs.pop("signal")
    return services.notify(source=Notification.Source.SIGNAL, **kwargs)
