"""What a rule would have sent in the last 30 days, as a page says it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from ..models import Rule
from ..outcome import Outcome, would_have_sent

DAYS = 30
MOST = 300
"""So many objects are looked at."""
EXAMPLES = 10
NAMED = 3


@dataclass(frozen=True, slots=True)
class Example:
    """One object that it would have told of: to whom, and how many more people that are."""

    object: str
    people: str
    more: int


@dataclass(slots=True)
class Past:
    """``objects`` of those ``looked_at`` match; ``skipped`` people would have got nothing, as those
    who have not bound WeChat. ``basis`` says which objects were looked at."""

    basis: str
    looked_at: int = 0
    objects: int = 0
    messages: int = 0
    skipped: int = 0
    users: set[Any] = field(default_factory=set)
    has_unlisted: bool = False
    examples: list[Example] = field(default_factory=list)

    @property
    def people(self) -> int | None:
        """How many different people; None if there are too many for one object to be counted."""
        return None if self.has_unlisted else len(self.users)

    @property
    def more(self) -> int:
        """How many objects are no example."""
        return self.objects - len(self.examples)

    def add(self, instance: Any, told: Outcome) -> None:
        """Count one object that was looked at."""
        self.looked_at += 1
        if not told.matches:
            return
        reached = [one for one in told.people if not one.problem]
        named = {one.user.pk for one in told.people if one.user is not None}
        unlisted = max(0, told.people_count - len(named))
        self.objects += 1
        self.messages += len(reached) + unlisted
        self.skipped += len(told.people) - len(reached)
        self.users |= {one.user.pk for one in reached if one.user is not None}
        self.has_unlisted = self.has_unlisted or unlisted > 0
        if len(self.examples) < EXAMPLES:
            names = (
                pgettext("between people", ", ").join(one.name for one in reached[:NAMED]) or "-"
            )
            more = max(0, len(reached) + unlisted - NAMED)
            self.examples.append(Example(str(instance), names, more))

    def told(self) -> str:
        """How much it would have been, in a sentence or two."""
        return " ".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if not self.messages:
            yield _("In the last 30 days it would have sent nothing.")
        elif self.people is None:
            text = ngettext(
                "In the last 30 days it would have sent %d message.",
                "In the last 30 days it would have sent up to %d messages.",
                self.messages,
            )
            yield text % self.messages
        else:
            text = ngettext(
                "In the last 30 days it would have sent %(count)d message (people: %(people)d).",
                "In the last 30 days it would have sent %(count)d messages (people: %(people)d).",
                self.messages,
            )
            yield text % {"count": self.messages, "people": self.people}
        if self.skipped:
            text = ngettext(
                "%d more would not have been sent: cannot be reached, or a text is not right.",
                "%d more would not have been sent: cannot be reached, or a text is not right.",
                self.skipped,
            )
            yield text % self.skipped

    def looked(self) -> str:
        """What was looked at."""
        if self.looked_at < MOST:
            return _("Looked at %(count)d: %(basis)s") % {
                "count": self.looked_at,
                "basis": self.basis,
            }
        return _("Looked at the newest %(count)d only: %(basis)s") % {
            "count": self.looked_at,
            "basis": self.basis,
        }


def past_of(rule: Rule) -> Past:
    """What the rule would have sent. Raises ``ValidationError`` for one that cannot be run."""
    found = would_have_sent(rule, days=DAYS, most=MOST)
    past = Past(found.basis)
    for instance, told in found:
        past.add(instance, told)
    return past
