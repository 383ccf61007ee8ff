"""What each person gets, or why they get nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from ..models import MessageTemplate
from ..names import name_of
from ..placeholders import PersonalData
from ..wechat.naming import as_reason
from ..writing.content import own_data
from ..writing.recipients import targets


@dataclass(frozen=True, slots=True)
class Person:
    """One message: to whom, what it says by field, and what is wrong with it, if anything."""

    user: Any
    name: str
    data: dict[str, str]
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a ``Firing``."""
        return {
            "user": self.user.pk if isinstance(self.user.pk, int) else str(self.user.pk),
            "name": self.name,
            "data": self.data,
            "problem": self.problem,
        }


def people_of(
    template: MessageTemplate, users: Iterable[Any], data: PersonalData, most: int
) -> Iterator[Person]:
    """The messages to the first ``most`` of ``users``. Somebody with two openids has two."""
    for target in islice(targets(users, template.account), most):
        made, problems = own_data(template, data.for_person, target)
        texts = {name: str(one["value"]) for name, one in made.items()}
        reason = _(target.reason) if target.reason else as_reason(problems, template.fields)
        yield Person(target.user, name_of(target.user), texts, reason)
