"""Counts of what was sent: by day, template and status, and by cause where something went wrong.

Every function asks a fixed number of queries, however many messages there are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, Value, When
from django.utils import timezone as django_timezone

from .models import MessageTemplate, SendLog, SendLogQuerySet
from .wechat.errors import describe

Status = SendLog.Status

TROUBLE = (
    Status.FAILED,
    Status.UNDELIVERED,
    Status.UNCERTAIN,
    Status.SKIPPED,
    Status.EXPIRED,
)

# "failed:user block": the person refuses (WECHAT.md 4). Every other receipt that is no success
# speaks of WeChat's own trouble.
USER_BLOCK = "user block"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why ``count`` messages did not arrive.

    ``errcode`` is WeChat's refusal; where there is none, ``words`` hold our own reason, or what
    the receipt said.
    """

    status: Status
    errcode: int | None
    words: str
    count: int

    @property
    def can_be_resent(self) -> bool:
        """Whether the same message may well arrive now, and surely did not before."""
        if self.status is Status.UNDELIVERED:
            return USER_BLOCK not in self.words
        return self.status is Status.FAILED and is_transient(self.errcode)


def causes(logs: SendLogQuerySet, *, most: int = 50) -> list[Cause]:
    """Why messages among ``logs`` did not arrive, the commonest cause first. One query."""
    none = Value(None, output_field=IntegerField())
    rows = (
        logs.filter(status__in=TROUBLE)
        .order_by()
        .annotate(
            code=Case(When(errcode=0, then=none), default=F("errcode")),
            # WeChat's own words carry a request id, no two are the same; its code groups them.
            words=Case(
                When(status=Status.UNDELIVERED, then=F("receipt_status")),
                When(Q(errcode=None) | Q(errcode=0), then=F("errmsg")),
                default=Value(""),
            ),
        )
        .values_list("status", "code", "words")
        .annotate(n=Count("pk"))
        .order_by("-n", "status", "code", "words")
    )
    return [Cause(Status(status), code, words, n) for status, code, words, n in rows[:most]]


def resendable(logs: SendLogQuerySet) -> SendLogQuerySet:
    """Those of ``logs`` that can be resent without asking anybody. One query beside its own.

    They surely did not arrive, what stopped them passes by itself, and nobody has resent them
    yet. Uncertain ones are not among them: they may have arrived.
    """
    failed = logs.filter(status=Status.FAILED)
    codes = failed.order_by().values_list("errcode", flat=True).distinct()
    passing = [code for code in codes if code is not None and is_transient(code)]
    wanted = Q(status=Status.FAILED) & (Q(errcode=None) | Q(errcode__in=passing))
    wanted |= Q(status=Status.UNDELIVERED) & ~Q(receipt_status__contains=USER_BLOCK)
    resends = SendLog.objects.filter(resend_of=OuterRef("pk"))
    return logs.filter(wanted).exclude(Exists(resends))


def is_transient(errcode: int | None) -> bool:
    """Whether what made a message fail passes by itself. None: WeChat was never reached."""
    # A failed row without a code never reached WeChat: had it been in doubt, it would be uncertain.
    return errcode is None or describe(errcode).passes


Counts = Mapping[str, int]
"""{status: number of messages}; a status without any is missing."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What was asked for in a number of days that end today.

    ``days`` has every day, the oldest first; ``templates`` those used, the busiest first.
    """

    days: list[tuple[date, Counts]]
    templates: list[tuple[MessageTemplate, Counts]]
    total: Counts

    @property
    def today(self) -> Counts:
        return self.days[-1][1]


def since(days: int) -> datetime:
    """The midnight with which ``days`` days begin, of which today is the last."""
    midnight = django_timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days - 1)


def overview(logs: SendLogQuerySet, days: int) -> Overview:
    """``logs`` of the last ``days`` days, by the day their notification was made. Two queries."""
    midnights = [since(number) for number in range(days, 0, -1)]
    rows = (
        logs.filter(notification__created_at__gte=midnights[0])
        .order_by()
        .annotate(day=_day_among(midnights))
        .values_list("day", "notification__template", "status")
        .annotate(n=Count("pk"))
    )
    by_day: defaultdict[int, Counter[str]] = defaultdict(Counter)
    by_template: defaultdict[int, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for day, template, status, n in rows:
        for counter in (by_day[day], by_template[template], total):
            counter[status] += n
    return Overview(
        days=[(midnight.date(), by_day[day]) for day, midnight in enumerate(midnights)],
        templates=_busiest(by_template),
        total=total,
    )


def _busiest(counted: Mapping[int, Counter[str]]) -> list[tuple[MessageTemplate, Counts]]:
    templates: Iterable[MessageTemplate] = MessageTemplate.objects.filter(pk__in=counted)
    found = [(template, counted[template.pk]) for template in templates]
    return sorted(found, key=lambda pair: (-sum(pair[1].values()), pair[0].pk))


def _day_among(midnights: list[datetime]) -> Case:
    """The number of the last of ``midnights`` that is not after the notification.

    Not TruncDate: MariaDB and MySQL know no time zone, not even UTC, until somebody loads their
    tables of them, and answer NULL. The newest comes first, which most rows are.
    """
    newest_first = reversed(list(enumerate(midnights)))
    return Case(
        *(When(notification__created_at__gte=at, then=Value(day)) for day, at in newest_first),
        output_field=IntegerField(),
    )
