"""The rules that are switched on, read at most every few seconds by each process.

One that something is wrong with is left out, and its row says why.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation, ValidationError
from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.db.models.signals import post_delete, post_save
from django.utils.translation import gettext as _

from .language import site_language
from .models import Rule
from .ready import Ready, in_one_line, known_to, make_ready
from .whom import Known

logger = logging.getLogger(__name__)

MAX_AGE = 5.0
"""Seconds for which a process goes on with the rules that it has read."""


NEVER = float("-inf")
UNREADABLE = (RecursionError, ValueError)
"""What Python's JSON raises for what a database takes: very deep, or with very long numbers."""


@dataclass(slots=True)
class _Read:
    """What was read last, and when."""

    rules: tuple[Ready, ...] = ()
    at: float = NEVER
    is_failing: bool = False


_last = _Read()


def active_rules() -> tuple[Ready, ...]:
    """The rules that are switched on and can be run, in the order in which they were made."""
    if time.monotonic() - _last.at > MAX_AGE:
        _read_again()
    return _last.rules


def forget(**kwargs: Any) -> None:
    """Read the rules again when they are asked for next."""
    _last.at = NEVER


def connect() -> None:
    """Notice at once what this process changes. Called once, when the app is ready."""
    for signal in (post_save, post_delete):
        signal.connect(_on_change, sender=Rule, dispatch_uid="wechat_notify.rules.active_rules")


def _on_change(sender: type[Rule], using: str, **kwargs: Any) -> None:
    forget()
    # Another thread may have read them again before this transaction was committed.
    transaction.on_commit(forget, using=using, robust=True)


def _read_again() -> None:
    """Read them; each thread that finds them too old, by itself: none may go on with old ones."""
    using = router.db_for_write(Rule)
    connection = connections[using]
    try:
        with ExitStack() as savepoint:
            if connection.in_atomic_block:
                savepoint.enter_context(transaction.atomic(using=using))
            _last.rules = tuple(_ready_rules(using))
        _last.is_failing = False
    except SynchronousOnlyOperation:
        return  # in an event loop, by muted(): those read before have to do
    except Exception:
        if connection.needs_rollback:
            raise
        if not _last.is_failing:
            logger.exception("The rules could not be read. Those read before are still run.")
        _last.is_failing = True
    # Also after a failure: while the database is in trouble, not every save asks it once more.
    _last.at = time.monotonic()


def _ready_rules(using: str) -> Iterator[Ready]:
    for rule, ready, problem in tried(Rule.objects.using(using).filter(is_active=True)):
        if problem != rule.stopped_because:
            _note_later(rule.pk, problem, using)
        if ready is not None:
            yield ready


def tried(rows: QuerySet[Rule]) -> Iterator[tuple[Rule, Ready | None, str]]:
    """Each rule, in the order in which they were made: ready to run, or what is wrong with it."""
    rows = rows.select_related("template__stand_in").order_by("pk")
    try:
        rules = list(rows)
        known = known_to(rules)
    except UNREADABLE:
        # What somebody has written by SQL is read alone then, and stops nothing but its rule.
        rules, known = list(rows.defer("conditions", "recipients", "texts")), None
    for rule in rules:
        with site_language():
            ready, problem = _try(rule, known)
        yield rule, ready, problem


def _try(rule: Rule, known: Known | None) -> tuple[Ready | None, str]:
    try:
        return make_ready(rule, known), ""
    except ValidationError as error:
        return None, in_one_line(error)
    except (ArithmeticError, AttributeError, LookupError, TypeError, *UNREADABLE):
        # What no form writes.
        return None, _("The rule cannot be read. Write it again.")


def _note_later(pk: int, problem: str, using: str) -> None:
    """Say in the rule's row why it is not run; "" if it is.

    After the transaction: it must not make others wait for the row.
    """
    transaction.on_commit(partial(_note, pk, problem, using), using=using, robust=True)


def _note(pk: int, problem: str, using: str) -> None:
    rows = Rule.objects.using(using).filter(pk=pk).exclude(stopped_because=problem)
    if rows.update(stopped_because=problem) and problem:
        logger.warning("The rule %s stopped: %s", pk, problem)
