"""``notify_on``, and the receiver of ``notify_requested``.

    @notify_on(post_save, sender=Leave, template="leave_decided", changes={"status": "approved"})
    def tell_applicant(instance, **kwargs):
        return {"users": instance.applicant, "data": {"person": instance.applicant}}

Put such functions where the site's ``AppConfig.ready()`` imports them, as for any receiver.

The function, which may be async, gets the signal's arguments. It returns None to send nothing, or a
dict of ``notify()``'s arguments: ``users`` and ``data``, and any of its options.

``changes``, with ``post_save`` of a model only: ``{"status": "paid"}`` when the field becomes that
value, in a new row too; ``{"status": ("pending", "paid")}`` for that step only; ``["status"]`` for
any change of a row that was there before. It is true of the model's proxies and multi-table
children, too. ``when`` gets the object (the sender, if the signal has no ``instance``), and nothing
is sent unless it returns something true.

A signal that says ``raw=True``, as ``loaddata`` does, is ignored. What goes wrong never breaks the
code that sent the signal: data that WeChat would refuse become ``skipped`` rows with the reason,
any other error is logged and shown by ``wechat_doctor`` and on the dashboard.
``on_error="raise"`` raises it instead.

A ``template`` given by name is declared (see ``declarations``): the system checks find out if it is
not registered, or if it has other fields than those in ``fields``. ``dispatch_uid`` keeps the
trigger to one if its module is imported twice, as it does for any receiver.
"""

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_save
from django.db.models.utils import make_model_tuple
from django.dispatch import Signal

from .. import services
from ..conf import DEFAULT_ACCOUNT
from ..declarations import declare
from ..models import MessageTemplate, Notification
from .changes import Changes, Values
from .fire import call, fire
from .fixtures import is_from_fixture, watch_fixtures
from .trigger import OnError, Trigger, register
from .watching import Watch, watch

Receiver = TypeVar("Receiver", bound=Callable[..., Any])


@dataclass(eq=False, kw_only=True)
class SignalTrigger(Trigger):
    """What ``notify_on`` makes of a function."""

    signals: Sequence[Signal]
    sender: Any
    changes: Mapping[str, Any] | Iterable[str] | None

    def listens_to(self, model: type[Model]) -> bool:
        """Whether a save of this very model would call it, as any receiver."""
        if self.changes is not None:
            return False
        return self.sender in (None, model, model._meta.label)


def notify_on(
    signal: Signal | Sequence[Signal],
    *,
    sender: Any = None,
    template: MessageTemplate | str,
    changes: Mapping[str, Any] | Iterable[str] | None = None,
    when: Callable[[Any], Any] | None = None,
    account: str | None = None,
    fields: Iterable[str] | None = None,
    on_error: OnError = "log",
    dispatch_uid: Hashable = None,
) -> Callable[[Receiver], Receiver]:
    """Call ``notify()`` when ``signal`` is sent (by ``sender``), with what the function returns.

    The arguments are described at the top of this module. The function is returned unchanged.
    """
    signals = [signal] if isinstance(signal, Signal) else list(signal)
    if changes is not None and (signals != [post_save] or sender is None):
        raise TypeError("changes= needs the signal post_save and the model as sender.")
    if isinstance(template, str):
        declare(template, fields=fields, account=account or DEFAULT_ACCOUNT)

    def decorate(function: Receiver) -> Receiver:
        trigger = SignalTrigger(
            function=function,
            template=template,
            account=account,
            when=when,
            on_error=on_error,
            key=dispatch_uid and (dispatch_uid, *map(id, signals), _sender_key(sender)),
            signals=signals,
            sender=sender,
            changes=changes,
        )
        register(trigger)
        _connect(trigger, dispatch_uid)
        return function

    return decorate


def _sender_key(sender: Any) -> Any:
    return sender if isinstance(sender, str) else id(sender)


def _connect(trigger: SignalTrigger, dispatch_uid: Hashable) -> None:
    if trigger.changes is None:
        if m2m_changed in trigger.signals and isinstance(trigger.sender, type):
            watch_fixtures(trigger.sender)
        for one in trigger.signals:
            # weak=False: there is no other reference to this function.
            receive, uid = _receiver(trigger), dispatch_uid
            one.connect(receive, sender=trigger.sender, weak=False, dispatch_uid=uid)
        return
    if isinstance(trigger.sender, str):
        begin = functools.partial(_watch, trigger)
        apps.lazy_model_operation(begin, make_model_tuple(trigger.sender))
    else:
        _watch(trigger, trigger.sender)


def _watch(trigger: SignalTrigger, model: type[Model]) -> None:
    changes, receive = Changes(model, trigger.changes or ()), _receiver(trigger)

    def due(was: Values | None, now: Values) -> Sequence[SignalTrigger]:
        return [trigger] if changes.made_by(was, now) else []

    def fire_due(due: Sequence[SignalTrigger], **arguments: Any) -> int:
        return int(receive(**arguments) is not None)

    watch(Watch(key=trigger.key, model=model, fields=changes.fields, due=due, fire=fire_due))


def _receiver(trigger: SignalTrigger) -> Callable[..., Notification | None]:
    @functools.wraps(trigger.function)
    def receive(sender: Any, **kwargs: Any) -> Notification | None:
        instance = kwargs.get("instance", sender)
        if kwargs.get("raw") or (m2m_changed in trigger.signals and is_from_fixture(instance)):
            return None
        ask = functools.partial(call, trigger.function, sender=sender, **kwargs)
        return fire(trigger, instance, ask, using=kwargs.get("using"))

    # Django would await it: the wrapped function may be async, and this one is not.
    del receive.__wrapped__
    return receive


def notify_as_requested(sender: Any, **kwargs: Any) -> Notification:
    """The receiver of ``notify_requested``."""
    kwargs.pop("signal")
    return services.notify(_source=Notification.Source.SIGNAL, **kwargs)
