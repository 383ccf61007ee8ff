"""``remind_on``: a trigger that fires at a time before or after an object's own.

Nothing is scheduled ahead. ``reminding`` looks for the objects whose time has come, so an object
that was moved, cancelled or deleted meanwhile never reminds wrongly.

The function, which may be async, gets the object and returns ``notify()``'s arguments, or None to
send nothing. Without ``before`` and ``after`` it is the moment itself. A ``DateField`` needs
``time``, the time of day in the site's time zone; it is counted back on the wall's clock.

``when`` gets the object, too. Both are asked when the reminder is due, and the object and ``when``
once more when it is sent. A reminder that was missed by more than ``grace`` is not sent, and
neither is one of an object that was made too late for it. What is sent ``before`` expires at the
object's own moment.

Whatever delivers also looks for what is due, every minute: workers, served sites, the task of
Celery beat. Give the column an index. Errors are treated as those of ``notify_on``.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from datetime import timezone as fixed_timezone
from typing import Any, TypeVar

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateField, DateTimeField, Model
from django.db.models.utils import make_model_tuple
from django.utils import timezone

from ..conf import DEFAULT_ACCOUNT
from ..declarations import declare
from ..models import DATABASE_TROUBLE, MessageTemplate
from .trigger import Trigger, register, registered

Remind = TypeVar("Remind", bound=Callable[..., Any])

GRACE = timedelta(minutes=15)
UTC = fixed_timezone.utc
DAY = timedelta(days=1)
PREFIX = "reminder"


@dataclass(eq=False, kw_only=True)
class Reminder(Trigger):
    """What ``remind_on`` makes of a function.

    ``offset`` is from the object's moment to the reminder's: negative before it. ``clock``: the
    time of day that makes a moment of a date.
    """

    model: type[Model] | None = None
    at: str
    offset: timedelta
    grace: timedelta
    clock: time | None

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = (self.name, self.at, self.offset.total_seconds(), self.clock)
        self.key = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]

    def moment(self, instance: Model) -> datetime | None:
        """When the object's reminder is due; None: its field is empty."""
        value: date | None = getattr(instance, self.at)
        return None if value is None else self.due(value)

    def due(self, value: date) -> datetime:
        """When the reminder of an object with this date or time is due."""
        return self._moment(value, self.offset)

    def expiry(self, value: date) -> datetime | None:
        """When a reminder is of no use any more: at the object's own moment, if it comes after."""
        return self._moment(value, timedelta(0)) if self.offset < timedelta(0) else None

    def _moment(self, value: date, offset: timedelta) -> datetime:
        if isinstance(value, datetime):
            # In UTC: elsewhere, Python adds by the clock on the wall.
            return value.astimezone(UTC) + offset
        # On the clock on the wall: a day before 9:00 is 9:00, whatever is changed in that night.
        wall = datetime.combine(value, self.clock or time()) + offset
        return wall.replace(tzinfo=timezone.get_default_timezone())

    def lookup(self, now: datetime) -> dict[str, Any] | None:
        """The filter for objects whose reminder is due now; None: there can be none."""
        now = now.astimezone(UTC)
        first = now - self.grace
        if self.clock is None:
            # As literals, so that an index on the column is used.
            return {f"{self.at}__gt": first - self.offset, f"{self.at}__lte": now - self.offset}
        local = timezone.localtime(now, timezone.get_default_timezone())
        day = (local.replace(tzinfo=None) - self.offset).date()
        near = [day + number * DAY for number in range(-2 - self.grace.days, 3)]
        days = [one for one in near if first < self.due(one) <= now]
        return {f"{self.at}__in": days} if days else None

    def is_due(self, moment: datetime, now: datetime) -> bool:
        return now - self.grace < moment <= now

    def key_for(self, pk: Any, moment: datetime) -> str:
        """The notification's key: once for each object, reminder and moment."""
        return f"{PREFIX}-{self.key}-{moment.timestamp():.0f}-{pk}"


def remind_on(
    model: type[Model] | str,
    *,
    at: str,
    before: timedelta | None = None,
    after: timedelta | None = None,
    template: MessageTemplate | str,
    when: Callable[[Any], Any] | None = None,
    grace: timedelta = GRACE,
    time: time | None = None,
    account: str | None = None,
    fields: Iterable[str] | None = None,
) -> Callable[[Remind], Remind]:
    """Call ``notify()`` ``before`` or ``after`` the moment in each object's field ``at``.

    The arguments are described at the top of this module. The function is returned unchanged.
    """
    if before is not None and after is not None:
        raise TypeError("Give before= or after=, not both.")
    offset = after or -(before or timedelta(0))
    if (before or after or timedelta(0)) < timedelta(0) or grace <= timedelta(0):
        raise TypeError("before=, after= and grace= are lengths of time, not less than 0.")
    if isinstance(template, str):
        declare(template, fields=fields, account=account or DEFAULT_ACCOUNT)

    def decorate(function: Remind) -> Remind:
        reminder = Reminder(
            function=function,
            template=template,
            account=account,
            when=when,
            on_error="log",
            passes=DATABASE_TROUBLE,
            at=at,
            offset=offset,
            grace=grace,
            clock=time,
        )

        _register_for(model, reminder)
        return function

    return decorate


def _register_for(model: type[Model] | str, reminder: Reminder) -> None:
    """Register the reminder as soon as the model is there."""

    def begin(found: type[Model]) -> None:
        _check_field(found, reminder.at, reminder.clock)
        reminder.model = found
        register(reminder)

    if isinstance(model, str):
        apps.lazy_model_operation(begin, make_model_tuple(model))
    else:
        begin(model)


def reminders() -> list[Reminder]:
    """Every reminder of the site's code."""
    return [one for one in registered() if isinstance(one, Reminder)]


def _check_field(model: type[Model], at: str, clock: time | None) -> None:
    try:
        field = model._meta.get_field(at)
    except FieldDoesNotExist as error:
        raise TypeError(f"at: {error}.") from error
    if not isinstance(field, DateField):
        raise TypeError(f"at: {at!r} of {model.__name__} is neither a date nor a time.")
    if isinstance(field, DateTimeField) == (clock is not None):
        raise TypeError(f"time= is for a DateField, and a DateField needs it: {at!r}.")
