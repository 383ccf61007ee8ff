"""What resending would do: who gets it again, who does not and why, and what prevents it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ... import services
from ...conf import settings
from ...dry_run import NOT_BOUND, NOT_FOLLOWING, OTHER_ACCOUNT, UNBOUND, ResendDryRun
from ...models import MessageTemplate, SendLog, SendLogQuerySet
from ...reach import NOT_FOLLOWING as UNFOLLOWED
from ...reach import Reach
from ...wechat.errors import Words
from ..base import Button
from ..parts.account_rests import why_at_rest
from ..parts.approvers import above_limit, needs_approval
from ..parts.badges import status_badge
from ..parts.confirmation import Confirmation
from ..parts.explanations import why_waits
from ..parts.left_out import LeftOut
from ..parts.people import who
from ..parts.remedies import MOST_CHOSEN, to_invite
from ..permissions import may_see_openids

Status = SendLog.Status

NAMED = 20
# Checking the data of one row takes about a tenth of a millisecond.
MOST_CHECKED = 5_000


class ResendPlan:
    """What resending these rows would do, for the user who asks. Changes nothing.

    ``others``: rows that are not among them, with the reason and their number.
    """

    def __init__(
        self,
        logs: SendLogQuerySet,
        site: AdminSite,
        request: HttpRequest,
        others: Sequence[tuple[Words, int, SendLogQuerySet]] = (),
    ) -> None:
        self._site = site
        self._request = request
        self.counts = logs.counts()
        self.waiting = sum(self.counts[status] for status in SendLog.OPEN)
        self.total = sum(self.counts.values()) - self.waiting
        self.final = logs.final().order_by()
        self._dry_run = ResendDryRun(self.final, most=MOST_CHECKED)
        self._whole = may_see_openids(request)
        self._others = others

    def question(self, *, back: str, hidden: list[tuple[str, str]]) -> Confirmation:
        """The confirmation page."""
        again = ngettext(
            "%d message will be sent again.", "%d messages will be sent again.", self.again
        )
        button = ngettext("Resend %d message", "Resend %d messages", self.again)
        if needs_approval(self.again):
            button = ngettext(
                "Ask for approval of %d message", "Ask for approval of %d messages", self.again
            )
        return Confirmation(
            title=_("Resend messages"),
            button=button % self.again,
            back=back,
            facts=[again % self.again, *self._facts()],
            warnings=[
                *self._approval(),
                *self._repeats(),
                *_delays(self.templates),
                *self._unchecked(),
            ],
            items_title=_("To whom") if self.again else "",
            items=self._people(),
            left_out=self.left_out,
            obstacle=self._obstacle(),
            hidden=hidden,
            once=True,
        )

    @cached_property
    def templates(self) -> list[MessageTemplate]:
        """Those that the messages would leave with: a name may mean another template by now."""
        return services.templates_to_resend_with(self.final)

    @property
    def sent(self) -> SendLogQuerySet:
        """The rows that somebody gets again."""
        return self._dry_run.reached

    @property
    def again(self) -> int:
        """How many messages there would be."""
        return self._dry_run.again

    @cached_property
    def left_out(self) -> list[LeftOut]:
        """Who would not get it, by reason."""
        dry_run = self._dry_run
        unfollowed = self._named(_first(dry_run.on_unfollowed)) if dry_run.not_following else []
        groups = [
            *(LeftOut(why, n, self._named(_first(rows))) for why, n, rows in self._others),
            self._group(NOT_BOUND, Reach.NOT_BOUND, ways=self._invite(Reach.NOT_BOUND)),
            self._group(UNBOUND, Reach.UNBOUND, ways=self._invite(Reach.UNBOUND)),
            LeftOut(_(NOT_FOLLOWING), dry_run.not_following, unfollowed, self._invite(*UNFOLLOWED)),
            self._group(OTHER_ACCOUNT, Reach.OTHER_ACCOUNT),
            *(
                LeftOut(_(reason), rows.count(), self._named(_first(rows)))
                for reason, rows in dry_run.refused
            ),
        ]
        return [group for group in groups if group.count]

    def _group(self, reason: str, reach: Reach, *, ways: Sequence[Button] = ()) -> LeftOut:
        count = self._dry_run.counts.get(reach, 0)
        named = self._named(_first(self._dry_run.among(reach))) if count else []
        return LeftOut(_(reason), count, named, ways)

    def _invite(self, *reaches: Reach) -> list[Button]:
        """What invites the people of such rows, the first of them where they are many: on each
        account, mostly only one."""
        if not any(self._dry_run.counts.get(reach) for reach in reaches):
            return []
        known = self._dry_run.among(*reaches).filter(user__isnull=False).order_by("account", "pk")
        users: defaultdict[str, dict[Any, None]] = defaultdict(dict)
        for account, user in known.values_list("account", "user")[:MOST_CHOSEN]:
            users[account][user] = None
        return [
            way
            for account, pks in users.items()
            for way in to_invite(self._site, self._request, account, pks)
        ]

    def _named(self, logs: Iterable[SendLog]) -> list[SafeString]:
        return [who(log, whole=self._whole) for log in logs]

    def _obstacle(self) -> str:
        if not self.total and self._others:
            return _("Nobody would get this message.")
        if not self.total:
            return _("There is nothing to resend: these messages are still waiting.")
        aliases = settings.aliases
        unusable = [
            row
            for row in self.templates
            if (not row.is_active and row.sends_with() is None) or row.account not in aliases
        ]
        if not unusable:
            return "" if self.again else _("Nobody would get this message.")
        text = _(
            "These templates are not active, so nothing can be sent with them: %(names)s. "
            "Sync or activate them, or leave their messages out."
        )
        return text % {"names": ", ".join(str(row) for row in unusable)}

    def _facts(self) -> Iterator[str]:
        if self._others:
            all_ = self.total + self.waiting + sum(count for _why, count, _rows in self._others)
            text = ngettext(
                "Of %(all)d message that did not arrive, %(now)d can arrive now.",
                "Of %(all)d messages that did not arrive, %(now)d can arrive now.",
                all_,
            )
            yield text % {"all": all_, "now": self.again}
        if self.waiting:
            text = ngettext(
                "%d is left alone because it is still waiting or being sent.",
                "%d are left alone because they are still waiting or being sent.",
                self.waiting,
            )
            yield text % self.waiting

    def _approval(self) -> Iterator[str]:
        if needs_approval(self.again):
            yield above_limit()

    def _repeats(self) -> Iterator[str]:
        again = self.sent.counts()
        if arrived := again[Status.SENT] + again[Status.DELIVERED]:
            text = ngettext(
                "%d was accepted or delivered: that person gets it a second time.",
                "%d were accepted or delivered: these people get it a second time.",
                arrived,
            )
            yield text % arrived
        if doubtful := again[Status.UNCERTAIN]:
            text = ngettext(
                "%d is uncertain: that person may get it a second time.",
                "%d are uncertain: these people may get it a second time.",
                doubtful,
            )
            yield text % doubtful
        if late := again[Status.EXPIRED]:
            text = ngettext(
                "%d has expired: it was not to be sent later.",
                "%d have expired: they were not to be sent later.",
                late,
            )
            yield text % late
        resends = SendLog.objects.filter(resend_of=OuterRef("pk"))
        if resent := self.final.filter(Exists(resends)).count():
            text = ngettext("%d was resent before.", "%d were resent before.", resent)
            yield text % resent

    def _unchecked(self) -> Iterator[str]:
        if self._dry_run.is_partial:
            text = _(
                "The first %d different contents were looked at. The others follow when they are "
                "sent; those that the template refuses now are skipped, with the reason."
            )
            yield text % MOST_CHECKED

    def _people(self) -> list[SafeString]:
        rows = self.sent.select_related("user").order_by("-pk")[:NAMED]
        named = [
            format_html("{} {}", who(log, whole=self._whole), status_badge(log.status))
            for log in rows
        ]
        if self.again > len(named):
            rest = self.again - len(named)
            more = ngettext("and %d more", "and %d more", rest) % rest
            named.append(format_html("{}", more))
        return named


def _first(rows: SendLogQuerySet) -> Iterable[SendLog]:
    return rows.select_related("user").order_by("pk")[:NAMED]


def _delays(templates: list[MessageTemplate]) -> Iterator[str]:
    """What prevents the new messages from being sent at once."""
    for template in templates:
        if why := why_waits(template):
            names = {"template": template, "why": why}
            yield _("Template %(template)s is paused, its messages wait: %(why)s") % names
    for account in sorted({template.account for template in templates}):
        rest = why_at_rest(account) if account in settings.aliases else None
        if rest is not None:
            yield str(rest)
