"""Rules that could tell many people: a second person approves before one is on.

What is approved is the rule as it was when it was asked for. Whoever changes it afterwards asks
again: the request ends, and a rule that is on goes off until the change is approved.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from ..approving import Decision, end_requests, why_not
from ..conf import settings
from ..exceptions import CannotDecide
from ..models import REASON_LENGTH, database, person_fields, repeats_on_conflict
from .allowed import SEPARATOR
from .models import Rule, SwitchRequest
from .ready import Ready, make_ready

NOT_SEEN = frozenset(
    {
        "id",
        "name",
        "is_active",
        "dry_run",
        "stopped_because",
        "created_by_id",
        "created_at",
        "updated_at",
    }
)
"""Columns of a rule that do not say what it sends to whom."""


def needs_approval(rule: Rule, messages: Callable[[], int]) -> bool:
    """Whether a second person must approve this rule before it is on.

    That is a rule whose recipients may be many (groups, saved recipients, a relation to many
    people), however many they are today; and one that would have sent more than ``APPROVAL_ABOVE``
    in the last 30 days, which ``messages`` counts. One that cannot be run is not known to be small.
    """
    if settings.APPROVAL_ABOVE is None:
        return False
    try:
        return _may_reach_many(make_ready(rule)) or messages() > settings.APPROVAL_ABOVE
    except ValidationError:
        return True


def open_request(rule: Rule) -> SwitchRequest | None:
    """The request that waits for a decision."""
    found: SwitchRequest | None = _requests(rule).filter(decision="").first()
    return found


def fingerprint(rule: Rule) -> str:
    """What this rule, as the database has it, sends to whom: its columns, the people whom its saved
    recipients name, and the template's content."""
    now = Rule.objects.select_related("template").get(pk=rule.pk)
    columns = [one.attname for one in Rule._meta.concrete_fields if one.attname not in NOT_SEEN]
    seen: list[Any] = [{name: getattr(now, name) for name in columns}, now.template.revision_id]
    try:
        seen.append(asdict(make_ready(now).recipients))
    except ValidationError as error:
        seen.append(error.messages)
    text = json.dumps(seen, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@repeats_on_conflict
def ask(rule: Rule, by: Any) -> bool:
    """Ask for this rule, as it is now, to be switched on. False: somebody has asked already."""
    with transaction.atomic(using=database().alias):
        _lock(rule)
        if open_request(rule) is not None:
            return False
        SwitchRequest.objects.create(
            rule=rule,
            rule_name=rule.name,
            fingerprint=fingerprint(rule),
            **person_fields("asked_by", by),
        )
    return True


@repeats_on_conflict
def approve(rule: Rule, by: Any, *, seen: str) -> None:
    """Switch it on. ``seen``: the ``fingerprint`` of what this person has seen.

    Raises ``CannotDecide``, with nothing switched, unless ``by`` may decide, and the rule still is
    as it was seen and as it was when it was asked for.
    """
    with transaction.atomic(using=database().alias):
        problem = _problem(rule, by) or _changed(rule, seen)
        if not problem:
            _decide(rule, Decision.APPROVED, by)
            rule.is_active, rule.dry_run, rule.stopped_because = True, False, ""
            rule.save(update_fields=["is_active", "dry_run", "stopped_because", "updated_at"])
    if problem:
        raise CannotDecide(problem)


@repeats_on_conflict
def refuse(rule: Rule, by: Any, reason: str) -> None:
    """Leave it as it is. Raises ``CannotDecide`` unless ``by`` may decide."""
    with transaction.atomic(using=database().alias):
        problem = _problem(rule, by)
        if not problem:
            _decide(rule, Decision.REFUSED, by, reason[:REASON_LENGTH])
    if problem:
        raise CannotDecide(problem)


def withdraw(rule: Rule, by: Any) -> bool:
    """End the open request. False: there is none."""
    return bool(_end(rule, Decision.WITHDRAWN, by=by))


def note_change(rule: Rule, by: Any, before: str, messages: Callable[[], int]) -> bool:
    """After ``rule`` was written: ask again for what has changed. Call in the same transaction.

    ``before``: its ``fingerprint`` until then. Returns whether it was on, and is off now until a
    second person has approved the change.
    """
    if fingerprint(rule) == before:
        return False
    withdraw(rule, by)
    now = Rule.objects.get(pk=rule.pk)
    is_on = now.is_active and not now.dry_run
    if not (is_on and needs_approval(now, messages)):
        return False
    now.is_active = False
    now.save(update_fields=["is_active", "updated_at"])
    rule.is_active = False
    return ask(rule, by)


# -- pieces -----------------------------------------------------------------------------------


def _requests(rule: Rule) -> Any:
    return SwitchRequest.objects.filter(rule=rule)


def _decide(rule: Rule, decision: Decision, by: Any, reason: str = "") -> None:
    if not _end(rule, decision, by=by, reason=reason):
        # In a transaction that goes on seeing what it saw at first.
        raise CannotDecide(_("Somebody has decided at this moment."))


def _end(rule: Rule, decision: Decision, *, by: Any, reason: str = "") -> int:
    return end_requests(_requests(rule), decision, by=by, reason=reason, is_pending=None)


def _lock(rule: Rule) -> None:
    """Always a write, for its lock: one after the other. Then it is read as it is now."""
    Rule.objects.filter(pk=rule.pk).update(updated_at=F("updated_at"))
    rule.refresh_from_db(using=database().alias)


def _problem(rule: Rule, by: Any) -> str:
    """Why this person cannot decide now; "" if they can. Call inside a transaction."""
    _lock(rule)
    last = _requests(rule).order_by("pk").last()
    if last is None:
        return _("It does not wait for approval.")
    return why_not(last, by)


def _changed(rule: Rule, seen: str) -> str:
    now, request = fingerprint(rule), open_request(rule)
    if request is not None and request.fingerprint != now:
        return _("It has changed since it was asked for. It must be asked for again.")
    if seen != now:
        return _("It has changed since you looked at it. Look at it again.")
    return ""


def _may_reach_many(ready: Ready) -> bool:
    found = ready.recipients
    if found.groups or found.users or found.everyone:
        return True
    return any(_leads_to_many(ready.allowed.model, path) for path in found.paths)


def _leads_to_many(model: Any, path: str) -> bool:
    """Whether one object can lead to several users by this path."""
    for part in path.split(SEPARATOR):
        relation = model._meta.get_field(part)
        if relation.many_to_many or relation.one_to_many:
            return True
        model = relation.related_model
    return False
