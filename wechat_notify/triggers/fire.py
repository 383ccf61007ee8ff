"""One trigger fires: ``when``, the site's function, ``notify()``."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import async_to_sync

from ..models import Notification
from .failures import contained, raises
from .muting import is_muted
from .trigger import Trigger


def fire(
    trigger: Trigger,
    subject: Any,
    ask: Callable[[], Any],
    *,
    using: str | None,
    given: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    source: str = Notification.Source.SIGNAL,
    dispatch: bool = True,
) -> Notification | None:
    """Ask the trigger's function, and notify. Returns None where nothing is sent.

    ``subject``: the object, for ``when`` and for logs; ``using``: its database. ``given`` are
    arguments of ``notify()`` that the function may replace, ``fixed`` those that it may not.
    Without ``dispatch``, the caller has the message sent.
    """
    if is_muted(trigger.names):
        return None
    with contained(trigger, subject, using):
        if trigger.when is not None and not call(trigger.when, subject):
            return None
        wanted = ask()
        if wanted is None:
            return None
        options = {"template": trigger.template, "account": trigger.account, **(given or {})}
        return trigger.send(
            subject,
            **{**options, **wanted, **(fixed or {})},
            _source=source,
            _skip_invalid=not raises(trigger),
            _dispatch=dispatch,
        )
    return None  # type: ignore[unreachable]  # contained() swallows errors


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the function returns, also if it is async."""
    result = function(*args, **kwargs)
    return async_to_sync(_wait_for)(result) if inspect.isawaitable(result) else result


async def _wait_for(result: Awaitable[Any]) -> Any:
    return await result
