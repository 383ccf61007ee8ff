"""The triggers that a site has, each with its name: its code's, and those of other sources."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import services
from ..conf import DEFAULT_ACCOUNT
from ..models import MessageTemplate, Notification

OnError = Literal["log", "raise"]


@dataclass(eq=False, kw_only=True)
class Trigger:
    """A function of the site's, and the template of what it sends.

    ``when`` gets the object, and says whether the function is asked. ``on_error``: what becomes of
    errors, see ``failures``. ``key`` tells triggers apart: a module that is imported twice has each
    of its triggers once, if they have a ``dispatch_uid``.
    """

    function: Callable[..., Any]
    template: MessageTemplate | str
    account: str | None
    when: Callable[[Any], Any] | None
    on_error: OnError
    key: Hashable = None
    passes: tuple[type[Exception], ...] = ()
    """Exceptions that are raised to whoever fires it, because trying again can help."""
    name: str = field(init=False)
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        if self.on_error not in ("log", "raise"):
            raise TypeError(f'on_error must be "log" or "raise", not {self.on_error!r}.')
        short = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        self.name = f"{self.function.__module__}.{short}"
        self.names = frozenset({self.name, short, short.rpartition(".")[2]})
        self.key = self.key or id(self)

    @property
    def alias(self) -> str:
        """The account that its messages leave by."""
        own = self.template.account if isinstance(self.template, MessageTemplate) else None
        return self.account or own or DEFAULT_ACCOUNT

    def send(self, subject: Any, **arguments: Any) -> Notification | None:
        """Write the message about ``subject``. ``arguments`` are those of ``notify()``."""
        return services.notify(**arguments)


triggers: dict[Hashable, Trigger] = {}
"""Those of the site's code."""

sources: dict[str, Callable[[], Iterable[Trigger]]] = {}
"""Where more triggers come from that may be others at any time, by a name that mutes them all."""


def register(trigger: Trigger) -> None:
    triggers[trigger.key] = trigger


def registered() -> list[Trigger]:
    """Every trigger: in the order of the code, then those of the other sources."""
    return [*triggers.values(), *_from_sources()]


def unknown_names(names: Iterable[str]) -> set[str]:
    """Those of ``names`` that no trigger has."""
    unknown = set(names) - sources.keys()
    for known in (triggers.values, _from_sources):  # sources are asked for what is left only
        if unknown:
            unknown -= {name for trigger in known() for name in trigger.names}
    return unknown


def _from_sources() -> list[Trigger]:
    return [one for source in sources.values() for one in source()]
