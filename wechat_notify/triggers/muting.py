"""``muted()``: no trigger fires in a block or a function."""

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, TypeVar

from ..conf import settings
from .trigger import unknown_names

Muted = TypeVar("Muted", bound=Callable[..., Any])

_muted: ContextVar[tuple[frozenset[str], ...]] = ContextVar("wechat_notify_muted", default=())

EVERY = frozenset({"*"})


class muted:  # noqa: N801 - used as a function is: with muted():
    """Triggers do not fire in the block, or in the function that it decorates.

        with muted():                       # all of them
            import_orders(file)

        @muted("tell_buyer", "remind_patient")      # these two
        async def repair(): ...

    ``names`` are those of the functions that ``notify_on`` and ``remind_on`` decorate, alone or
    with their module, as in "shop.orders.tell_buyer". ``LookupError`` at the start of the block: no
    trigger has such a name.

    Only this thread or task is muted, with the tasks that it begins meanwhile. A thread that it
    starts is not: decorate the function that the thread runs.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._tokens: list[Token[tuple[frozenset[str], ...]]] = []

    def __enter__(self) -> None:
        unknown = sorted(unknown_names(self._names))
        if unknown:
            raise LookupError(f"No trigger is named {', '.join(map(repr, unknown))}.")
        names = frozenset(self._names) or EVERY
        self._tokens.append(_muted.set((*_muted.get(), names)))

    def __exit__(self, *exc_info: object) -> None:
        _muted.reset(self._tokens.pop())

    def __call__(self, function: Muted) -> Muted:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("A generator cannot be muted: write `with muted():` inside it.")
        wrapper: Any
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with muted(*self._names):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with muted(*self._names):
                    return function(*args, **kwargs)

        result: Muted = wrapper
        return result


def is_muted(names: frozenset[str]) -> bool:
    """Whether the trigger of these names must not fire now: by ``muted()`` or by the settings."""
    return any(one is EVERY or one & names for one in _muted.get()) or not settings.TRIGGERS
