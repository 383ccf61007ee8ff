"""What sending would do: who gets it, who does not and why, and what prevents it."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...conf import settings
from ...dry_run import (
    NOT_BOUND,
    NOT_FOLLOWING,
    Target,
    data_problems,
    has_host,
    priority_for,
)
from ...exceptions import Problem
from ...models import Notification, OpenIDBinding
from ...senders import how_to_start, nobody_sends_later
from ..base import Button
from ..parts.account_rests import why_at_rest
from ..parts.approvers import above_limit, needs_approval, who_can_approve
from ..parts.explanations import why_waits
from ..parts.left_out import LeftOut
from ..parts.people import shown_name, who
from ..parts.remedies import MOST_CHOSEN, for_template, to_invite
from ..permissions import may_see_openids
from .audience import Checked, check_each
from .composed import Composed
from .const_values import warnings
from .earlier import Outcome
from .table_people import WrongRow, wrong_rows

NAMED = 10
LISTED = 100
CARDS = 3
# Checking one recipient's values takes about a tenth of a millisecond.
MOST_CHECKED = 5_000


class Review:
    """What the last page before sending shows of what was composed."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self.composing = composed.composing
        self.audience = composed.audience
        self.template = composed.composing.template
        self.table = composed.table
        self.fields = {field.name: field.label or field.name for field in self.composing.fields}
        self.url, self.miniprogram = self.composing.opened(composed.url, composed.miniprogram)

    @cached_property
    def checked(self) -> Checked | None:
        """The check of each recipient's own values; None if all get the same."""
        if not self.composed.data.personal_fields:
            return None
        return check_each(
            self.audience,
            self.template,
            self.composed.data,
            most=MOST_CHECKED,
            listed=self._listed,
            label=self._label,
        )

    @property
    def _listed(self) -> int:
        """Of how many people the problems are listed: of more in a table, to be mended there."""
        return NAMED if self.table is None else LISTED

    def _label(self, target: Target) -> str:
        line = self.table.line_of(target.person) if self.table is not None else None
        if line is None:
            return target.label
        return _("Line %(line)d: %(name)s") % {"line": line, "name": target.label}

    @property
    def skips_invalid(self) -> bool:
        """Whether a person with a bad value is skipped, instead of nothing being sent."""
        return self.composed.leave_out or settings.INVALID_DATA == "skip"

    @property
    def may_leave_out(self) -> bool:
        """Whether to offer to send it without those who are in the way, of whom not all may be
        known."""
        checked = self.checked
        is_bad = checked is not None and (checked.people or not checked.complete)
        refused = checked.people if checked is not None else 0
        in_the_way = (is_bad and not self.skips_invalid) or self.composed.wrong_rows
        return bool(in_the_way and refused < self.audience.count())

    @cached_property
    def count(self) -> int:
        """How many messages would be sent."""
        bad = self.checked.people if self.checked is not None and self.skips_invalid else 0
        return self.audience.count() - bad

    @cached_property
    def priority(self) -> Notification.Priority:
        """What is chosen, or follows from the number of recipients, those left out among them."""
        if self.composed.priority is not None:
            return self.composed.priority
        return priority_for(self.audience.recipients)

    @cached_property
    def left_out(self) -> list[LeftOut]:
        unbound, not_following = self.audience.unbound, self.audience.not_following
        groups = [
            LeftOut(_(NOT_BOUND), unbound.count(), self._unbound(), self._invite(unbound, "pk")),
            LeftOut(
                _(NOT_FOLLOWING),
                not_following.count(),
                self._not_following(),
                self._invite(not_following, "user"),
            ),
        ]
        if self.skips_invalid and self.checked is not None:
            reason = _("A value breaks the rule of its field.")
            groups.append(LeftOut(reason, self.checked.people, self._value_lines()))
        if self.table is not None and self.composed.leave_out:
            reason = _("Their row in the table cannot be used. Nothing is recorded for them.")
            lines = _row_lines(self.table.wrong)
            groups.append(LeftOut(reason, len(self.table.wrong), lines))
        return [group for group in groups if group.count]

    def _unbound(self) -> list[SafeString]:
        users = self.audience.unbound.order_by("pk")[:NAMED]
        return [format_html("{}", shown_name(user)) for user in users]

    def _not_following(self) -> list[SafeString]:
        whole = may_see_openids(self.composing.request)
        rows = self.audience.not_following.select_related("user").order_by("pk")[:NAMED]
        return [who(row, whole=whole) for row in rows]

    def _invite(self, rows: QuerySet[Any], lookup: str) -> list[Button]:
        """What invites the users of these rows, the first of them where they are many."""
        users = rows.order_by(lookup).values_list(lookup, flat=True)[:MOST_CHOSEN]
        composing = self.composing
        return to_invite(composing.site, composing.request, self.template.account, users)

    @cached_property
    def obstacles(self) -> list[str]:
        """Why it cannot be sent as it is; empty if it can."""
        if found := [*self._obstacles()]:
            return found
        return [] if self.count else [_("Nobody would get this message.")]

    def _obstacles(self) -> Iterator[str]:
        if self.checked is not None and self.checked.people and not self.skips_invalid:
            yield ngettext(
                "%d person would get a value that WeChat refuses. Nothing is sent until it is "
                "corrected.",
                "%d people would get a value that WeChat refuses. Nothing is sent until they are "
                "corrected.",
                self.checked.people,
            ) % (self.checked.people,)
        if rows := len(self.composed.wrong_rows):
            yield ngettext(
                "%d row of the table cannot be used.", "%d rows of the table cannot be used.", rows
            ) % (rows,)

    @cached_property
    def problems(self) -> list[SafeString]:
        """The obstacle's reasons, by person."""
        values = [] if self.skips_invalid else self._value_lines()
        return _row_lines(self.composed.wrong_rows) + values

    @property
    def more_problems(self) -> int:
        """How many rows and people with a problem are not listed."""
        people = self.checked.people if self.checked and not self.skips_invalid else 0
        return max(0, len(self.composed.wrong_rows) - LISTED) + max(0, people - self._listed)

    def _value_lines(self) -> list[SafeString]:
        return [self._line(problem) for problem in self.checked.problems] if self.checked else []

    def _line(self, problem: Problem) -> SafeString:
        label = self.fields.get(problem.field, problem.field)
        return format_html("<b>{}</b> {}: {}", problem.recipient, label, problem.message)

    @cached_property
    def warnings(self) -> list[str]:
        return [*self._about_sending(), *self._about_values()]

    @cached_property
    def ways(self) -> list[Button]:
        """Pages that let messages of this template go, while something keeps them."""
        return for_template(self.composing.site, self.composing.request, self.template)

    @property
    def needs_approval(self) -> bool:
        """Whether a second person must approve it before anything leaves."""
        return needs_approval(self.count)

    def earlier_facts(self) -> Iterator[str]:
        """Of which earlier notification people get it, and what becomes of that one."""
        earlier = self.composed.earlier
        if earlier is None:
            return
        yield f"{earlier.title()} ({earlier.count})"
        if earlier.outcome is Outcome.WAITING:
            yield _(
                "What has not left of it is cancelled in the same moment. Who has got it by then, "
                "or whose message is on its way, does not get this one."
            )

    def _about_sending(self) -> Iterator[str]:
        if self.composed.earlier is not None:
            yield from self.composed.earlier.notes()
        if self.needs_approval:
            yield above_limit()
            yield who_can_approve(
                self.composing.site, self.composing.request, self.template.account
            )
        if why := why_waits(self.template):
            yield _("This template is paused, its messages wait: %s") % why
        rest = why_at_rest(self.template.account)
        if rest is not None:
            yield str(rest)
        if self.url and not has_host(self.url):
            text = _(
                "WeChat cannot open the link %s: it is a page of this site, and nothing says where "
                "this site is. Write the whole link, or have the setting SITE_URL set."
            )
            yield text % self.url
        if self.composed.send_at is not None and nobody_sends_later(self.template.account):
            yield _("Nobody would send it then: no worker is running.") + f" {how_to_start()}"
        if self.checked is not None and not self.checked.complete:
            yield self._follows() % self.checked.looked_at

    def _follows(self) -> str:
        if self.skips_invalid:
            return _(
                "The values of the first %d people were looked at. The others follow when it is "
                "sent; whoever has a bad one is left out."
            )
        return _(
            "The values of the first %d people were looked at. The others follow when it is "
            "sent; if one of them is bad, nothing is sent at all."
        )

    def _about_values(self) -> Iterator[str]:
        """What may go wrong with the shared values. None of it is certain."""
        shared = self.composed.data.shared
        for problem in warnings(self.template, shared, self.composing.learned):
            if problem.field in self.fields:
                yield f"{self.fields[problem.field]}: {capfirst(problem.message)}"

    def table_facts(self) -> Iterator[str]:
        """How many rows of the table are used, and what its columns mean."""
        if self.table is None:
            return
        rows = len(self.table.lines)
        yield ngettext("Table: %d row is used", "Table: %d rows are used", rows) % rows
        columns, headings = self.table.columns, self.table.headings
        filled = [_filled(headings[at], self.fields[key]) for at, key in columns.fields.items()]
        if filled:
            yield _("Columns: %s") % ", ".join(filled)
        if columns.unused:
            yield _("Columns that mean nothing here: %s") % ", ".join(columns.unused)

    @cached_property
    def cards(self) -> list[tuple[str, SafeString]]:
        """The card; if cards differ, those of the first few people who get one, by name."""
        if not self.composed.data.personal_fields:
            return [("", self.composed.card_for(""))]
        looked_at = islice(self.audience.targets(), MOST_CHECKED)
        good = (target for target in looked_at if not self._problems(target))
        found = list(islice(good, CARDS))
        return [(_name(target), self.composed.card_for(target.person)) for target in found]

    def _problems(self, target: Target) -> list[Problem]:
        return data_problems(self.template, self.composed.data.for_person, target)

    @cached_property
    def can_be_tested(self) -> bool:
        """Whether the user who composes can get a test."""
        mine = OpenIDBinding.objects.filter(
            account=self.template.account, user=self.composing.request.user.pk
        )
        return mine.reachable().exists()


def _row_lines(rows: Sequence[WrongRow]) -> list[SafeString]:
    return [format_html("{}", line) for line in wrong_rows(rows[:LISTED])]


def _filled(heading: str, label: str) -> str:
    return heading if heading == label else f"{heading} → {label}"


def _name(target: Target) -> str:
    return shown_name(target.user) if target.user is not None else target.label
