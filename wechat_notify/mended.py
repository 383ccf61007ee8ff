"""Messages that did not arrive and would arrive now, because their cause is mended.

People bind WeChat or follow again, a busy WeChat has time again, a template is corrected or used
again. What nobody can know here is never taken for mended, such as whether somebody who refused
messages takes them now.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any

from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy as _

from .models import Notification, SendLog, SendLogQuerySet
from .reach import NOT_FOLLOWING, REACHED, Reach, with_reach
from .sending.breaker import Breaker
from .statistics import USER_BLOCK, Cause, causes, with_causes
from .wechat.errors import Treatment, Words, describe
from .writing import recipients
from .writing.active_template import template_again

Status = SendLog.Status

ARGUMENT_INVALID = 47003
RESENT, UNCHANGED = "resent", "unchanged"
WHY_NOT: dict[str, Words] = {
    RESENT: _("It was resent already."),
    UNCHANGED: _("Its content must be corrected first: the template is still as it was."),
    Reach.NOT_BOUND: _(recipients.NOT_BOUND),
    **dict.fromkeys(NOT_FOLLOWING, _(recipients.NOT_FOLLOWING)),
    Reach.OTHER_ACCOUNT: _(recipients.OTHER_ACCOUNT),
    Reach.UNBOUND: _(recipients.UNBOUND),
}
"""By what was found out about a row; what is missing here is no reason."""
OF_PERSON = (
    recipients.NOT_BOUND,
    recipients.NOT_FOLLOWING,
    recipients.OTHER_ACCOUNT,
    recipients.UNBOUND,
)
"""Reasons to skip that are about the person, and not about what the message says."""
NOTHING_NEWER = _("Nothing newer is known of this person.")
REFUSES = _("Only the person can allow messages of this account again.")
TEMPLATE_RESTS = _("Nothing can be sent with the template at present.")
ACCOUNT_RESTS = _("The account is at rest.")
TOO_LATE = _("It was not to be sent later. It can be resent by its cause.")


@dataclass(frozen=True, slots=True)
class Part:
    """So many messages of one cause of which the same was found out. ``why_not``: "" where these
    would arrive now."""

    cause: Cause
    found: str
    count: int
    why_not: Words


class Mended:
    """What became of the causes for which messages of one notification did not arrive.

    A fixed number of queries, however many messages there are.
    """

    def __init__(self, notification: Notification) -> None:
        self._written = notification.revision_id
        self._account = notification.account or notification.template.account
        self._logs = SendLog.objects.filter(notification=notification)
        self._template = template_again(notification).sends_with()

    @cached_property
    def causes(self) -> list[Cause]:
        """Why messages did not arrive, the most frequent cause first."""
        return causes(self._logs)

    @cached_property
    def parts(self) -> list[Part]:
        """All messages of these causes."""
        if not self.causes:
            return []
        of_these = reduce(or_, (cause.condition for cause in self.causes))
        rows: Any = self._looked_at.filter(of_these)
        counted = rows.values_list("status", "code", "words", "found").annotate(n=Count("pk"))
        by_key = {cause.key: cause for cause in self.causes}
        return [
            Part(cause, found, n, self._why_not(cause, found))
            for *key, found, n in counted
            if (cause := by_key.get(tuple(key))) is not None
        ]

    def now(self, cause: Cause | None = None) -> int:
        """How many messages of this cause would arrive now; of all causes without one."""
        return sum(part.count for part in self._chosen(cause) if not part.why_not)

    def resent(self, cause: Cause) -> int:
        """How many messages of this cause were resent before."""
        return sum(part.count for part in self._chosen(cause) if part.found == RESENT)

    def rows(self, cause: Cause | None = None) -> SendLogQuerySet:
        """The messages that would arrive now. Whatever is resent meanwhile is no longer among
        them when the database is asked."""
        return self._rows([part for part in self._chosen(cause) if not part.why_not])

    def others(self, cause: Cause | None = None) -> list[tuple[Words, int, SendLogQuerySet]]:
        """Why the other messages would not arrive now: each reason, how many, and which."""
        by_reason: dict[str, list[Part]] = {}
        for part in self._chosen(cause):
            if part.why_not:
                by_reason.setdefault(str(part.why_not), []).append(part)
        return [
            (reason, sum(part.count for part in parts), self._rows(parts))
            for reason, parts in by_reason.items()
        ]

    def _chosen(self, cause: Cause | None) -> list[Part]:
        if cause is not None:
            return [part for part in self.parts if part.cause == cause]
        return [
            Part(part.cause, part.found, part.count, part.why_not or TOO_LATE)
            if part.cause.status is Status.EXPIRED
            else part
            for part in self.parts
        ]

    def _rows(self, parts: list[Part]) -> SendLogQuerySet:
        if not parts:
            return self._logs.none()
        found: dict[Cause, list[str]] = {}
        for part in parts:
            found.setdefault(part.cause, []).append(part.found)
        # The cause first, so that a database looks up only the people of this one.
        each = (cause.condition & Q(found__in=kinds) for cause, kinds in found.items())
        return self._looked_at.filter(reduce(or_, each))

    @property
    def _looked_at(self) -> SendLogQuerySet:
        """The rows with their causes, and with what was ``found`` out about each.

        That is ``RESENT``, ``UNCHANGED``, or how its person can be reached.
        """
        resends = SendLog.objects.filter(resend_of=OuterRef("pk"))
        same = Q() if self._template is None else Q(revision=self._template.revision_id)
        same |= Q(revision=None)  # it left when the app kept no revision: nobody knows
        refused = Q(status=Status.FAILED, errcode=ARGUMENT_INVALID)
        return with_causes(with_reach(self._logs)).annotate(
            found=Case(
                When(Exists(resends), then=Value(RESENT)),
                When(refused & same, then=Value(UNCHANGED)),
                default=F("reach"),
                output_field=CharField(),
            )
        )

    # -- why not --------------------------------------------------------------------------------

    def _why_not(self, cause: Cause, found: str) -> Words:
        if found == RESENT:
            return WHY_NOT[RESENT]
        of_cause: Callable[[Cause], Words] = {
            Status.FAILED: self._failed,
            Status.UNDELIVERED: self._undelivered,
            Status.SKIPPED: self._skipped,
            Status.EXPIRED: lambda _cause: self._held_up(),
        }.get(cause.status, lambda _cause: SendLog.LAST_STEPS[Status.UNCERTAIN])
        if why := of_cause(cause):
            return why
        if found == Reach.OPENID and _treatment(cause) is Treatment.PERSON:
            return NOTHING_NEWER
        return "" if found in REACHED else WHY_NOT[found]

    def _failed(self, cause: Cause) -> Words:
        treatment = _treatment(cause)
        if treatment in (None, Treatment.RETRY, Treatment.LATER, Treatment.PERSON):
            return ""
        if treatment in (Treatment.TEMPLATE, Treatment.TEMPLATE_GONE):
            return "" if self._template is not None else TEMPLATE_RESTS
        if treatment in (Treatment.ACCOUNT, Treatment.HOST, Treatment.TOKEN):
            return self._held_up()
        if cause.errcode == ARGUMENT_INVALID:
            return ""  # whether the template has changed was found out row by row
        return describe(cause.errcode or 0).next_step

    def _undelivered(self, cause: Cause) -> Words:
        return REFUSES if USER_BLOCK in cause.words else ""

    def _skipped(self, cause: Cause) -> Words:
        if cause.words in OF_PERSON:
            return ""
        now = None if self._template is None else self._template.revision_id
        return WHY_NOT[UNCHANGED] if now in (None, self._written) else ""

    def _held_up(self) -> Words:
        if self._template is None:
            return TEMPLATE_RESTS
        return ACCOUNT_RESTS if Breaker(self._account).rest() is not None else ""


def _treatment(cause: Cause) -> Treatment | None:
    """What WeChat's answer asked for; None where WeChat was not reached."""
    return None if cause.errcode is None else describe(cause.errcode).treatment
