"""A rule is carried out for an object: what is sent, or would be, and the row that says so."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from .. import services
from ..models import Notification, database, read_past_snapshot
from ..placeholders import PersonalData
from ..wechat.text import CONTROL
from .daily_limit import below_limit
from .each_person import people_of
from .language import site_language
from .models import Firing, Rule
from .models.firing import ID_LENGTH, REASON_LENGTH, TEXT_LENGTH
from .ready import Ready

MOST_RECORDED = 100
DRY = "dry-"


def carry_out(
    ready: Ready, instance: Model, data: PersonalData, arguments: Mapping[str, Any]
) -> Notification | None:
    """Tell those whom the rule names, and record it. Returns None where nothing is sent.

    ``arguments`` are those of ``notify()``; with a ``key``, it is done once. Whether the rule is
    still switched on is read in the transaction in which the rows are written.
    """
    with site_language(), transaction.atomic(using=database().alias, savepoint=False):
        now = _as_it_is(ready.rule)
        if now is None:
            return None
        firing = _firing(now, instance, arguments)
        if firing.key and Firing.objects.filter(rule=now, key=firing.key).exists():
            return None
        everybody = arguments["users"]
        users = below_limit(everybody, now.pk, now.most_a_day)
        firing.people = users.count()
        if now.dry_run:
            people = people_of(now.template, users, data, MOST_RECORDED)
            firing.would = [person.as_json() for person in people]
        if not firing.people:
            firing.reason = _why_nobody(everybody.exists(), now)[:REASON_LENGTH]
        notification = None
        if firing.people and not now.dry_run:
            sent = {**arguments, "users": users}
            notification = services.notify(**sent, _keeps_unsent=True)
            if not notification.is_new:
                return notification  # by another process at this moment, which has recorded it
            firing.notification = notification
        _write(firing)
        return notification


def _as_it_is(rule: Rule) -> Rule | None:
    """The rule as it is now, where it is switched on."""
    rows = Rule.objects.filter(pk=rule.pk)
    # Only where a transaction goes on seeing what it saw at first: elsewhere the lock that this
    # takes would make whoever saves an object wait for everybody else.
    found = read_past_snapshot(rows) if database().vendor == "mysql" else rows.first()
    if found is None or not found.is_active:
        return None
    found.template = rule.template
    return found


def _firing(rule: Rule, instance: Model, arguments: Mapping[str, Any]) -> Firing:
    key = arguments.get("key") or None
    return Firing(
        rule=rule,
        rule_name=rule.name,
        object_id=str(instance.pk)[:ID_LENGTH],
        object_text=CONTROL.sub(" ", str(instance))[:TEXT_LENGTH],
        # A dry run does not keep the rule from telling people when the dry run ends.
        key=f"{DRY}{key}" if key and rule.dry_run else key,
        fired_at=timezone.now(),
        is_dry_run=rule.dry_run,
    )


def _why_nobody(anybody: bool, rule: Rule) -> str:
    if anybody:
        return _("Everybody has had %d messages of this rule today.") % (rule.most_a_day or 0)
    return _("There is nobody to tell.")


def _write(firing: Firing) -> None:
    """Write it, unless another process has written one of this key at this moment."""
    if firing.key:
        Firing.objects.bulk_create([firing], ignore_conflicts=True)
    else:
        firing.save()
