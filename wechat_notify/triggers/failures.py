"""What goes wrong in a trigger does not break the code that sent the signal.

Each firing has a savepoint, where its code runs in a transaction. An error is logged once, with the
object and the trigger, and kept as a ``TriggerFailure`` for the doctor and the dashboard. An error
that has ended the whole transaction (a lost connection, a deadlock on MariaDB) is raised: what the
code wrote before is gone, and it must know.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.models import Model

from ..models import TriggerFailure, database
from ..models.trigger_failure import TEXT_LENGTH
from ..wechat.masking import presentable
from .trigger import Trigger

logger = logging.getLogger(__name__)

raisers: list[object] = []
"""While it has an entry, errors are raised in all triggers: ``wechat_outbox()`` adds one."""


def raises(trigger: Trigger) -> bool:
    """Whether what goes wrong in this trigger is raised."""
    return bool(raisers) or trigger.on_error == "raise"


@contextmanager
def contained(trigger: Trigger, subject: Any, using: str | None) -> Iterator[None]:
    """Run a firing's code so that its errors end here. ``using``: the object's database."""
    # A signal of the site's own may mean something else by ``using``.
    aliases = {database().alias, *(alias for alias in connections if alias == using)}
    try:
        with ExitStack() as savepoints:
            for alias in sorted(aliases):
                if _is_in_transaction(alias):
                    savepoints.enter_context(transaction.atomic(using=alias))
            yield
    except Exception as error:
        if isinstance(error, trigger.passes) or raises(trigger):
            raise
        if any(connections[alias].needs_rollback for alias in aliases):
            raise
        report(trigger, subject, error)


def report(trigger: Trigger, subject: Any, error: Exception) -> None:
    """Log the error, and keep it where people look. Never raises."""
    about = label(subject)
    logger.error(
        "The trigger %s failed for %s. Nothing was sent.", trigger.name, about, exc_info=error
    )
    try:
        with transaction.atomic(using=database().alias):
            TriggerFailure.objects.create(
                trigger=trigger.name[:TEXT_LENGTH],
                account=trigger.alias,
                about=about[:TEXT_LENGTH],
                error=in_words(error)[:TEXT_LENGTH],
            )
    except Exception:
        logger.exception("The failure of the trigger %s could not be kept.", trigger.name)


def label(subject: Any) -> str:
    """An object as logs name it: model and key, nothing personal."""
    if isinstance(subject, Model):
        return f"{subject._meta.label} {subject.pk}"
    return str(getattr(subject, "__name__", type(subject).__name__))


def in_words(error: Exception) -> str:
    """The error on one line, with nothing that must not be shown."""
    return presentable(f"{type(error).__name__}: {error}")


def _is_in_transaction(alias: str) -> bool:
    connection = connections[alias]
    return connection.in_atomic_block or not connection.get_autocommit()
