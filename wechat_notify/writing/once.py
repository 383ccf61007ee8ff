"""One notification for each (account, name, key), however many calls there are.

Not for each template: after a replacement, another one has the name, and the same call must find
what the first has made.
"""

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from ..models import MessageTemplate, Notification, database, read_past_snapshot


def find_by_key(template: MessageTemplate, key: str) -> Notification | None:
    """The notification that an earlier call has made with this key."""
    return _earlier(_with_key(template, key).first()) if key else None


def save_once(notification: Notification) -> Notification | None:
    """Save it, or return the one for which another transaction has used the key meanwhile."""
    if notification.key is None:
        notification.save(force_insert=True)
    else:
        try:
            with transaction.atomic(using=database().alias):
                notification.save(force_insert=True)
        except IntegrityError:
            same = _with_key(notification.template, notification.key)
            # The snapshot of a REPEATABLE READ does not have the row.
            winner = same.first() or read_past_snapshot(same)
            if winner is None:
                raise
            return _earlier(winner)
    notification.is_new = True
    return None


def _with_key(template: MessageTemplate, key: str) -> QuerySet[Notification]:
    return Notification.objects.filter(
        account=template.account, template_name=template.name, key=key
    )


def _earlier(found: Notification | None) -> Notification | None:
    if found is not None:
        found.is_new = False
    return found
