"""What sending would do: who gets it, who does not and why, and what stands in the way."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...conf import settings
from ...const_values import warnings
from ...delivery.audience import Checked, check_each
from ...delivery.recipients import NOT_BOUND, NOT_FOLLOWING, Target
from ...exceptions import InvalidData, Problem
from ...models import OpenIDBinding
from ..base import may_see_openids
from ..explanations import why_paused
from ..people import shown_name, who
from ..rests import why_at_rest
from .draft import Message

NAMED = 10
CARDS = 3
# Looking at each recipient's own values takes a tenth of a millisecond or so.
MOST_CHECKED = 5_000


@dataclass(frozen=True, slots=True)
class LeftOut:
    """People who will not get it: why, how many, and the first of them by name."""

    reason: str
    count: int
    named: list[SafeString]

    @property
    def more(self) -> int:
        return self.count - len(self.named)


class Review:
    """One message on its way out, looked at from all sides."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.composing = message.composing
        self.audience = message.audience
        self.template = message.composing.template
        self.fields = {field.name: field.label or field.name for field in self.composing.fields}

    @cached_property
    def checked(self) -> Checked | None:
        """What came of each recipient's own values; None where all get the same."""
        if not self.message.data.personal_fields:
            return None
        return check_each(
            self.audience, self.template, self.message.data, most=MOST_CHECKED, listed=NAMED
        )

    @property
    def skips_invalid(self) -> bool:
        """Whether a bad value of one person keeps the message from that person only."""
        return settings.INVALID_DATA == "skip"

    @cached_property
    def count(self) -> int:
        """How many messages would go out."""
        bad = self.checked.people if self.checked is not None and self.skips_invalid else 0
        return self.audience.count() - bad

    @cached_property
    def left_out(self) -> list[LeftOut]:
        groups = [
            LeftOut(_(NOT_BOUND), self.audience.unbound.count(), self._unbound()),
            LeftOut(_(NOT_FOLLOWING), self.audience.not_following.count(), self._not_following()),
        ]
        if self.skips_invalid and self.checked is not None:
            reason = _("A value breaks the rule of its field.")
            groups.append(LeftOut(reason, self.checked.people, self._problem_lines()))
        return [group for group in groups if group.count]

    def _unbound(self) -> list[SafeString]:
        users = self.audience.unbound.order_by("pk")[:NAMED]
        return [format_html("{}", shown_name(user)) for user in users]

    def _not_following(self) -> list[SafeString]:
        whole = may_see_openids(self.composing.request)
        rows = self.audience.not_following.select_related("user").order_by("pk")[:NAMED]
        return [who(row, whole=whole) for row in rows]

    @cached_property
    def obstacle(self) -> str:
        """Why it cannot be sent as it stands; empty where it can."""
        if self.checked is not None and self.checked.people and not self.skips_invalid:
            return ngettext(
                "%d person would get a value that WeChat refuses. Nothing is sent until it is "
                "mended.",
                "%d people would get a value that WeChat refuses. Nothing is sent until they are "
                "mended.",
                self.checked.people,
            ) % (self.checked.people,)
        return "" if self.count else _("Nobody would get this message.")

    @cached_property
    def problems(self) -> list[SafeString]:
        """The obstacle's reasons, by person."""
        return [] if self.skips_invalid else self._problem_lines()

    def _problem_lines(self) -> list[SafeString]:
        return [self._line(problem) for problem in self.checked.problems] if self.checked else []

    def _line(self, problem: Problem) -> SafeString:
        label = self.fields.get(problem.field, problem.field)
        return format_html("<b>{}</b> {}: {}", problem.recipient, label, problem.message)

    @cached_property
    def warnings(self) -> list[str]:
        return [*self._about_sending(), *self._about_values()]

    def _about_sending(self) -> Iterator[str]:
        if why := why_paused(self.template):
            yield _("This template is paused, its messages wait: %s") % why
        rest = why_at_rest(self.template.account)
        if rest is not None:
            yield f"{rest.heading} {rest.reason}"
        if self.checked is not None and not self.checked.complete:
            text = _(
                "The values of the first %d people were looked at. The others follow when it is "
                "sent; if one of them is bad, nothing is sent at all."
            )
            yield text % self.checked.looked_at

    def _about_values(self) -> Iterator[str]:
        """What may go wrong with what everybody gets, though nothing of it is certain."""
        shared = self.message.data.shared
        for problem in warnings(self.template, shared, self.composing.learned):
            if problem.field in self.fields:
                yield f"{self.fields[problem.field]}: {capfirst(problem.message)}"

    @cached_property
    def cards(self) -> list[tuple[str, SafeString]]:
        """The card, or those of the first few people with their names where they differ."""
        if not self.message.data.personal_fields:
            return [("", self.message.card_for(""))]
        found = islice(self.audience.targets(), CARDS)
        return [(_name(target), card) for target in found if (card := self._card(target.person))]

    def _card(self, person: Any) -> SafeString | None:
        try:
            return self.message.card_for(person)
        except InvalidData:
            return None

    @cached_property
    def can_be_tested(self) -> bool:
        """Whether the person at the keyboard can get it first."""
        mine = OpenIDBinding.objects.filter(
            account=self.template.account, user=self.composing.request.user.pk
        )
        return mine.reachable().exists()


def _name(target: Target) -> str:
    return shown_name(target.user) if target.user is not None else target.label
