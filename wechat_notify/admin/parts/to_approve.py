"""What waits for a second person's approval, on one page.

The core knows its own notifications only. An app with something else to approve registers a
function::

    @source
    def rules_to_approve(site, request):
        yield Waiting(name, url, request.asker, request.asked_at)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from ...wechat.errors import Words


@dataclass(frozen=True, slots=True)
class Waiting:
    """One request: what it is, the page that shows it, and who asked for it when.

    ``is_own``: whoever looks at the list has asked for it, and somebody else must decide.
    """

    what: Words
    url: str
    asker: str
    asked_at: datetime
    is_own: bool = False
    detail: Words = ""


Source = Callable[[AdminSite, HttpRequest], Iterable[Waiting]]
"""Gives the requests that this member of staff may see."""

sources: list[Source] = []


def source(find: Source) -> Source:
    """Registers ``find``, which the page asks from now on."""
    if find not in sources:
        sources.append(find)
    return find
