"""Which row a delivery receipt belongs to. Reads only.

It belongs

- to the row with its msgid, account and openid, or else
- to the only row of its account and openid that it can be about: sent within the day before it,
  without a receipt, and without a msgid of its own that says otherwise.

While several rows are possible, or one whose result is still under way, nothing is decided: a
receipt never ends on the wrong row.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from django.db.models import Q

from ..models import Receipt, SendLog

Status = SendLog.Status

# A message is sent before its receipt; the clocks that say so are two.
WINDOW = timedelta(hours=24)
SKEW = timedelta(minutes=2)

# In place of a row whose result is not known yet: nothing is decided while there is one.
UNDER_WAY = 0

Possible: TypeAlias = defaultdict[tuple[str, str], list[SendLog]]
"""By account and openid."""


@dataclass(frozen=True, slots=True)
class Match:
    """A receipt and the primary key of the row it belongs to."""

    receipt: Receipt
    log: int


def match_receipts(receipts: list[Receipt], using: str) -> tuple[list[Match], list[int]]:
    """Those that belong to a row, and the keys of those that nothing here can be about.

    Two queries for any number of receipts.
    """
    if not receipts:
        return [], []
    # In this order: a row that gets its msgid in between is found by one or the other.
    possible = _possible(receipts, using)
    by_msgid = _by_msgid(receipts, using)
    matches, rest = [], []
    for receipt in receipts:
        log = by_msgid.get((receipt.account, receipt.openid, receipt.msgid))
        if log is None:
            rest.append(receipt)
        else:
            matches.append(Match(receipt, log))
    taken = {match.log for match in matches}
    choices = [(receipt, _choose(receipt, possible, taken)) for receipt in rest]
    rivals = Counter(pk for _receipt, choice in choices for pk in choice)
    for receipt, choice in choices:
        if len(choice) == 1 and choice[0] != UNDER_WAY and rivals[choice[0]] == 1:
            matches.append(Match(receipt, choice[0]))
    return matches, [receipt.pk for receipt, choice in choices if not choice]


def _possible(receipts: list[Receipt], using: str) -> Possible:
    """By person: what was sent and has no receipt, and what is being sent."""
    moments = [receipt.event_at for receipt in receipts]
    span = (min(moments) - WINDOW, max(moments) + SKEW)
    sent = Q(status=Status.SENT, sent_at__range=span)
    doubtful = Q(status=Status.UNCERTAIN, in_doubt_since__range=span)
    under_way = Q(status=Status.SENDING) | Q(status=Status.PENDING, in_doubt_since__isnull=False)
    logs = SendLog.objects.using(using).filter(
        sent | doubtful | under_way,
        receipt_at__isnull=True,
        account__in={receipt.account for receipt in receipts},
        openid__in={receipt.openid for receipt in receipts},
    )
    found: Possible = defaultdict(list)
    fields = ("pk", "account", "openid", "status", "msgid", "sent_at", "in_doubt_since")
    for log in logs.only(*fields):
        found[log.account, log.openid].append(log)
    return found


def _by_msgid(receipts: list[Receipt], using: str) -> dict[tuple[str, str, int | None], int]:
    msgids = {receipt.msgid for receipt in receipts if receipt.msgid}
    logs = SendLog.objects.using(using).filter(msgid__in=msgids).order_by("pk")
    rows = logs.values_list("account", "openid", "msgid", "pk")
    return {(account, openid, msgid): pk for account, openid, msgid, pk in rows}


def _choose(receipt: Receipt, possible: Possible, taken: set[int]) -> list[int]:
    """The rows that this receipt can be about, if no row has its msgid."""
    return [
        UNDER_WAY if log.status in SendLog.OPEN else log.pk
        for log in possible[receipt.account, receipt.openid]
        if log.pk not in taken and _can_be_about(receipt, log)
    ]


def _can_be_about(receipt: Receipt, log: SendLog) -> bool:
    if receipt.msgid and log.msgid:
        return False  # Both have one, and they differ.
    if log.status in SendLog.OPEN:
        return True
    moment: datetime | None = log.sent_at or log.in_doubt_since
    return moment is not None and -SKEW <= receipt.event_at - moment <= WINDOW
