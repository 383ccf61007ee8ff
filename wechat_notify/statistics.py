"""Counts of messages: by day, template and status, and by the cause of their failure.

Every function runs a fixed number of queries for any number of messages. Whoever
counts over many notifications leaves the tests out: ``SendLog.objects.without_tests()``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Q, Value, When
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

TRIED = (
    Status.SENT,
    Status.DELIVERED,
    Status.UNDELIVERED,
    Status.FAILED,
    Status.UNCERTAIN,
)
"""Messages that WeChat was asked to take."""

# "failed:user block": the person refuses messages (docs/wechat-api.md, 4). The cause of every
# other failure in a receipt is WeChat itself.
USER_BLOCK = "user block"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why ``count`` messages did not arrive.

    ``errcode`` is WeChat's; if it is None, ``words`` is the row's own reason or the receipt's text.
    """

    status: Status
    errcode: int | None
    words: str
    count: int

    @property
    def passes(self) -> bool:
        """Whether the messages certainly did not arrive, and the cause passes by itself."""
        if self.status is Status.UNDELIVERED:
            return USER_BLOCK not in self.words
        # A failed row without a code did not reach WeChat: if that were unclear, it would be
        # uncertain.
        failed = self.status is Status.FAILED
        return failed and (self.errcode is None or describe(self.errcode).passes)

    @property
    def key(self) -> tuple[Status, int | None, str]:
        """What tells it from other causes."""
        return self.status, self.errcode, self.words

    @property
    def condition(self) -> Q:
        """The condition on rows ``with_causes``."""
        return Q(status=self.status, code=self.errcode, words=self.words)


def with_causes(logs: SendLogQuerySet) -> SendLogQuerySet:
    """Those of ``logs`` that did not arrive, each with the ``code`` and ``words`` of its cause."""
    none = Value(None, output_field=IntegerField())
    rows = logs.filter(status__in=TROUBLE).order_by()
    return rows.annotate(
        code=Case(When(errcode=0, then=none), default=F("errcode")),
        # WeChat's errmsg contains a request id, so it is different each time: group by code.
        words=Case(
            When(status=Status.UNDELIVERED, then=F("receipt_status")),
            When(Q(errcode=None) | Q(errcode=0), then=F("errmsg")),
            default=Value(""),
        ),
    )


def causes(logs: SendLogQuerySet, *, most: int = 50) -> list[Cause]:
    """Why messages among ``logs`` did not arrive, the most frequent cause first. One query."""
    parts = ("status", "code", "words")
    rows = with_causes(logs).values_list(*parts).annotate(n=Count("pk")).order_by("-n", *parts)
    return [Cause(Status(status), code, words, n) for status, code, words, n in rows[:most]]


def of_cause(
    logs: SendLogQuerySet, status: str, errcode: int | None, words: str
) -> SendLogQuerySet:
    """Those of ``logs`` that ``causes()`` counts as one ``Cause`` with these values."""
    return with_causes(logs).filter(Q(status=status, code=errcode, words=words))


Counts = Mapping[str, int]
"""{status: number of messages}; a status without any is missing."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The messages of the last days, today included.

    ``days`` has every day, the oldest first; ``templates`` those used, the most used first.
    """

    days: list[tuple[date, Counts]]
    templates: list[tuple[MessageTemplate, Counts]]
    total: Counts

    @property
    def today(self) -> Counts:
        return self.days[-1][1]


def since(days: int) -> datetime:
    """The midnight at which the last ``days`` days began, today included."""
    midnight = django_timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days - 1)


Counted = Sequence[Sequence[Any]]
"""Rows of [day, template's primary key, status, number], which every cache can store."""


def count_by_day(logs: SendLogQuerySet, days: int) -> Counted:
    """``logs`` of the last ``days`` days, by the day their notification was made. One query."""
    midnights = _midnights(days)
    rows = (
        logs.filter(notification__created_at__gte=midnights[0])
        .order_by()
        .annotate(day=_day_among(midnights))
        .values_list("day", "notification__template", "status")
        .annotate(n=Count("pk"))
    )
    return [list(row) for row in rows]


def overview(rows: Counted, days: int) -> Overview:
    """An ``Overview`` of what ``count_by_day`` returned. One query."""
    by_day: defaultdict[int, Counter[str]] = defaultdict(Counter)
    by_template: defaultdict[int, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for day, template, status, n in rows:
        for counter in (by_day[day], by_template[template], total):
            counter[status] += n
    return Overview(
        days=[(midnight.date(), by_day[day]) for day, midnight in enumerate(_midnights(days))],
        templates=_busiest(by_template),
        total=total,
    )


def _midnights(days: int) -> list[datetime]:
    return [since(number) for number in range(days, 0, -1)]


def _busiest(counted: Mapping[int, Counter[str]]) -> list[tuple[MessageTemplate, Counts]]:
    templates: Iterable[MessageTemplate] = MessageTemplate.objects.filter(pk__in=counted)
    found = [(template, counted[template.pk]) for template in templates]
    return sorted(found, key=lambda pair: (-sum(pair[1].values()), pair[0].pk))


def _day_among(midnights: list[datetime]) -> Case:
    """The index in ``midnights`` of the day on which the notification was made.

    Not TruncDate: MariaDB and MySQL return NULL until somebody loads their time zone tables. The
    newest day is compared first, because most rows are of the last days.
    """
    newest_first = reversed(list(enumerate(midnights)))
    return Case(
        *(When(notification__created_at__gte=at, then=Value(day)) for day, at in newest_first),
        output_field=IntegerField(),
    )


def share_failed(logs: SendLogQuerySet, days: int) -> float:
    """Which part of the messages of the last ``days`` days failed, today left out; 0 to 1.

    Of those that were tried: what was skipped, cancelled or has expired does not count. One query.
    """
    counts: Counter[str] = Counter()
    for day, _template, status, n in count_by_day(logs, days + 1):
        if day < days:
            counts[status] += n
    tried = sum(counts[status] for status in TRIED)
    return counts[Status.FAILED] / tried if tried else 0.0
