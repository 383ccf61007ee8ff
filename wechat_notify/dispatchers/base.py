"""What decides which process sends a new notification, and when.

A dispatcher is called after the notification's transaction has committed. If it fails, or a task
queue loses the task, no message is lost: any ``wechat_deliver`` run finds the rows that are due.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.core.checks import CheckMessage
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..exceptions import InvalidSettings
from ..models import Notification
from ..sending.wanted import Key


class BaseDispatcher:
    """Subclass this and name the class in ``WECHAT_NOTIFY["DISPATCHER"]``.

    Its ``OPTIONS`` are in ``self.options``; an option that is not in ``option_names`` raises
    ``InvalidSettings``. A new instance is made each time that something is to be sent.
    """

    option_names: ClassVar[frozenset[str]] = frozenset()

    how_to_start: ClassVar[Any] = gettext_lazy(
        "Start manage.py wechat_deliver --watch, or run manage.py wechat_deliver every minute from "
        "cron."
    )
    """What to do where messages are due and nobody sends them."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        unknown = sorted(options.keys() - self.option_names)
        if unknown:
            known = ", ".join(sorted(self.option_names)) or "none"
            raise InvalidSettings(
                f'WECHAT_NOTIFY["DISPATCHER"]: {type(self).__name__} has no option '
                f"{', '.join(map(repr, unknown))} (it knows: {known})."
            )

    sends_itself: ClassVar[bool] = True
    """Whether it sends, or has sent, what is due now; False: a worker must."""

    @property
    def needs_worker(self) -> bool:
        """Whether only ``wechat_deliver`` sends what is due later or is to be tried again."""
        return True

    def check(self) -> None:
        """Raise ``ImproperlyConfigured`` when this dispatcher cannot work here.

        Called by ``notify()`` before anything is written, and by the system checks.
        """

    def check_settings(self) -> Iterable[CheckMessage]:
        """What is doubtful about the settings, for ``manage.py check``. 060 to 069 are its ids."""
        return ()

    def dispatch(self, notification: Notification) -> None:
        """Send the notification's due rows, or have them sent. Called after the commit.

        An exception is logged, and the rows stay ``pending`` for the next worker.
        """
        raise NotImplementedError

    def dispatch_all(self, notifications: Sequence[Notification]) -> None:
        """The same for all notifications of one transaction, in one call."""
        for notification in notifications:
            self.dispatch(notification)

    def _wrong_option(self, name: str, must_be: str) -> InvalidSettings:
        return InvalidSettings(
            f'WECHAT_NOTIFY["DISPATCHER"]: {type(self).__name__} wants {name} to be {must_be}, '
            f"not {self.options[name]!r}."
        )


def get_dispatcher() -> BaseDispatcher:
    """The configured dispatcher, checked. ``InvalidSettings`` names what is wrong with it."""
    path, options = settings.DISPATCHER.path, settings.DISPATCHER.options
    try:
        dispatcher_class = import_string(path)
    except ImportError as error:
        raise InvalidSettings(
            f'WECHAT_NOTIFY["DISPATCHER"]: {path!r} cannot be imported ({error}).'
        ) from error
    if not (isinstance(dispatcher_class, type) and issubclass(dispatcher_class, BaseDispatcher)):
        raise InvalidSettings(f'WECHAT_NOTIFY["DISPATCHER"]: {path!r} is not a BaseDispatcher.')
    dispatcher = dispatcher_class(options)
    dispatcher.check()
    return dispatcher


def keys_of(notifications: Iterable[Notification]) -> set[Key]:
    """Account and primary key of each."""
    return {(notification.template.account, notification.pk) for notification in notifications}
