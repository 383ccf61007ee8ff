"""Which row a delivery receipt belongs to. Reads only.

It belongs

- to the row with its msgid, account and openid, or else
- to the only row of its account and openid that is possible: one without a receipt and without
  another msgid, accepted within the day before it, or uncertain since at most 15 minutes before it.

While several rows are possible, or a possible row has no result yet, the receipt is not matched:
a receipt must never be written to the wrong row.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from django.db.models import Q

from ..models import Receipt, SendLog, Unindexed

Status = SendLog.Status

# How long after its message a receipt may come. A message that WeChat accepted without a msgid is
# under review (docs/wechat-api.md, 12.6), which may take hours. A message that may never have
# reached WeChat must not get the receipt of another system's message to the same person.
ACCEPTED_WINDOW = timedelta(hours=24)
UNCERTAIN_WINDOW = timedelta(minutes=15)
# A receipt can seem older than its message, because the two times are of different clocks.
SKEW = timedelta(minutes=2)

# Stands for a row whose result is not known yet. With one, the receipt is not matched.
NO_RESULT_YET = 0

Possible: TypeAlias = defaultdict[tuple[str, str], list[SendLog]]
"""By account and openid."""


@dataclass(frozen=True, slots=True)
class Match:
    """A receipt and the primary key of the row it belongs to."""

    receipt: Receipt
    log: int


def normalise(status: str) -> str:
    """One form for what WeChat writes: "success", "failed:user block", "failed: system failed"."""
    head, colon, tail = status.lower().partition(":")
    return f"{head.strip()}{colon}{tail.strip()}"


def is_success(status: str) -> bool:
    return normalise(status) == "success"


def match_receipts(receipts: list[Receipt]) -> tuple[list[Match], list[int]]:
    """The receipts that match a row, and the keys of those for which no row is possible.

    Two queries for any number of receipts.
    """
    if not receipts:
        return [], []
    # In this order, a row that gets its msgid between the two queries is found by one of them.
    possible = _possible(receipts)
    by_msgid = _by_msgid(receipts)
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
        if len(choice) == 1 and choice[0] != NO_RESULT_YET and rivals[choice[0]] == 1:
            matches.append(Match(receipt, choice[0]))
    return matches, [receipt.pk for receipt, choice in choices if not choice]


def _possible(receipts: list[Receipt]) -> Possible:
    """By person: rows that were sent and have no receipt, and rows that are being sent."""
    moments = [receipt.event_at for receipt in receipts]
    span = (min(moments) - ACCEPTED_WINDOW, max(moments) + SKEW)
    sent = Q(state=Status.SENT, sent_at__range=span)
    doubtful = Q(state=Status.UNCERTAIN, in_doubt_since__range=span)
    open_rows = Q(state=Status.SENDING) | Q(state=Status.PENDING, in_doubt_since__isnull=False)
    # They are found by their openids.
    logs = SendLog.objects.alias(state=Unindexed("status")).filter(
        sent | doubtful | open_rows,
        receipt_at__isnull=True,
        account__in={receipt.account for receipt in receipts},
        openid__in={receipt.openid for receipt in receipts},
    )
    found: Possible = defaultdict(list)
    fields = ("pk", "account", "openid", "status", "msgid", "sent_at", "in_doubt_since")
    for log in logs.only(*fields):
        found[log.account, log.openid].append(log)
    return found


def _by_msgid(receipts: list[Receipt]) -> dict[tuple[str, str, int | None], int]:
    msgids = {receipt.msgid for receipt in receipts if receipt.msgid}
    logs = SendLog.objects.filter(msgid__in=msgids).order_by("pk")
    rows = logs.values_list("account", "openid", "msgid", "pk")
    return {(account, openid, msgid): pk for account, openid, msgid, pk in rows}


def _choose(receipt: Receipt, possible: Possible, taken: set[int]) -> list[int]:
    """The possible rows of a receipt, if no row has its msgid."""
    return [
        NO_RESULT_YET if log.status in SendLog.OPEN else log.pk
        for log in possible[receipt.account, receipt.openid]
        if log.pk not in taken and _is_possible(receipt, log)
    ]


def _is_possible(receipt: Receipt, log: SendLog) -> bool:
    if receipt.msgid and log.msgid:
        return False  # Both have one, and they differ.
    if log.status in SendLog.OPEN:
        return True
    if log.status == Status.UNCERTAIN:
        moment, window = log.in_doubt_since, UNCERTAIN_WINDOW
    else:
        moment, window = log.sent_at, ACCEPTED_WINDOW
    return moment is not None and -SKEW <= receipt.event_at - moment <= window
