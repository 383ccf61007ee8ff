"""The arguments of ``notify()``, checked and turned into a notification that is not saved yet."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from ..exceptions import Problem
from ..models import MessageTemplate, Notification, database
from ..types import DataSource, MiniProgram
from . import content
from .by_number import priority_by_number
from .enqueue import Rows
from .held import hold_above
from .once import save_once
from .recipients import Users
from .sent_again import Repeats


@dataclass(frozen=True, slots=True)
class Prepared:
    """A notification to save, and its rows.

    What a person has asked for in the admin may be held for a second person's approval.
    """

    notification: Notification
    rows: Rows

    def write_once(self) -> Notification | None:
        """Save both, or return the notification for which the key was used meanwhile."""
        # A savepoint costs two statements. It undoes what was written before bad data came up; an
        # error of the database undoes the caller's transaction, as one of save() does.
        with transaction.atomic(using=database().alias, savepoint=not self.rows.are_known):
            if winner := save_once(self.notification):
                return winner
            self.rows.write()
            if self.notification.source == Notification.Source.ADMIN:
                hold_above([self.notification])
        return None


@dataclass(frozen=True, slots=True)
class Options:
    """What ``notify()`` takes beside users, template and data, as the caller gave it."""

    title: str = ""
    url: str = ""
    miniprogram: MiniProgram | None = None
    key: str = ""
    send_at: datetime | None = None
    expires_at: datetime | None = None
    priority: int | None = None

    def problems(self) -> list[Problem]:
        """All that is wrong with them."""
        return [
            *content.time_problems(self.send_at, self.expires_at),
            *content.priority_problems(self.priority),
            *content.link_problems(self.url, self.miniprogram),
            *content.key_problems(self.key),
            *content.title_problems(self.title),
        ]


def prepare(
    template: MessageTemplate,
    users: Users,
    data: DataSource,
    options: Options,
    *,
    skip_invalid: bool,
    keeps_unsent: bool,
    rests: bool | None,
    repeats: Repeats | None = None,
    **more: Any,
) -> Prepared:
    """What ``notify()`` will write. ``more``: further fields of the notification.

    Raises ``InvalidData`` with all problems. With ``skip_invalid``, they are the reason to skip
    everybody, and what cannot be stored is left out. ``keeps_unsent``, ``repeats``: as for
    ``Rows``. ``rests``: whether the template does, or None.
    """
    url, miniprogram = content.destination(template, options.url, options.miniprogram)
    options = replace(options, url=url, miniprogram=miniprogram)
    problems = options.problems()
    shared, reason = content.shared_data(template, data, problems, skip_invalid)
    if problems:
        options = Options()
    priority = options.priority
    if priority is None:
        priority, users = priority_by_number(users)
    more["priority"] = Notification.Priority(priority)
    notification = _notification(template, options, shared, **more)
    own = partial(content.own_data, template, data) if callable(data) else None
    rows = Rows(
        notification,
        users,
        own_data=own,
        reason=reason,
        skip_invalid=skip_invalid,
        keeps_unsent=keeps_unsent,
        rests=rests,
        repeats=repeats,
    )
    return Prepared(notification, rows)


def _notification(
    template: MessageTemplate, options: Options, shared: dict[str, Any], **more: Any
) -> Notification:
    """The notification of these ``options``, which are checked; ``more`` fields. Not saved."""
    return Notification(
        template=template,
        revision_id=template.revision_id,
        title=content.title_for(template, options.title, shared),
        data=shared,
        url=content.absolute_url(options.url),
        miniprogram=content.complete(options.miniprogram),
        key=options.key or None,
        send_at=options.send_at,
        expires_at=options.expires_at,
        **more,
    )
