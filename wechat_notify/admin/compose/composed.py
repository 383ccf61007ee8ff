"""What is being composed, and by whom. The form carries it; the server keeps only what is saved."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, QueryDict
from django.utils.safestring import SafeString

from ...dry_run import destination, whole_url
from ...models import MessageTemplate, Notification, SendLogQuerySet, title_of
from ...placeholders import PersonalData, Readers, usable_names
from ...site_recipients import WeChatRecipients
from ...types import MiniProgram
from ...wechat.fields import NOT_SHOWN, Field
from ..parts.cards import example_data, notification_card
from ..permissions import allowed_accounts
from .audience import Audience
from .choosable import People
from .const_values import Learned, learn
from .criteria import Criteria
from .earlier import EarlierPeople
from .earlier_values import KeptValues
from .table_data import TableData
from .table_people import TablePeople, WrongRow

VALUE = "value_"
FIELDS = frozenset(
    {
        "title",
        "url",
        "miniprogram_appid",
        "miniprogram_pagepath",
        "everyone",
        "filters",
        "groups",
        "segments",
        "in_all",
        "missed",
        "bound_since",
        "users",
        "pasted",
        "table",
        "list_label",
        "list_query",
        "list_ids",
        "saved_as",
        "priority",
        "when",
        "send_at",
        "expires_at",
        "leave_out",
        "earlier",
        "outcome",
        "outcome_of",
        "draft",
    }
)
"""Names of the form's inputs; each value of the message has one more, ``value_`` and its field."""


def is_carried(name: str) -> bool:
    """Whether an input is part of what is composed, which each page sends on to the next."""
    return name in FIELDS or name.startswith(VALUE)


def carried(data: QueryDict, *more: str) -> list[tuple[str, str]]:
    """These inputs with their values, for hidden inputs of a page that does not show them."""
    names = [name for name in data if is_carried(name) or name in more]
    return [(name, value) for name in names for value in data.getlist(name)]


def templates_for(site: AdminSite, request: HttpRequest) -> Any:
    """The active templates of the accounts that this member of staff may use."""
    allowed = allowed_accounts(site, request)
    return MessageTemplate.objects.active().filter(account__in=allowed)


@dataclass(frozen=True)
class Composing:
    """One template, and the member of staff who composes with it."""

    site: AdminSite
    request: HttpRequest
    template: MessageTemplate
    cancelled: SendLogQuerySet | None = field(default=None, compare=False)
    """While a message is sent in the place of another: what was cancelled of that one."""

    @cached_property
    def people(self) -> People:
        return People(self.site, self.request)

    @cached_property
    def offered(self) -> WeChatRecipients:
        """What the site knows of its users."""
        return self.people.offered

    @cached_property
    def names(self) -> dict[str, str]:
        """What may follow ``user.`` in a placeholder, with its label."""
        return usable_names(self.offered.placeholders)

    @cached_property
    def learned(self) -> dict[str, Learned]:
        return learn(self.template)

    @cached_property
    def examples(self) -> dict[str, str]:
        """WeChat's own examples, for the fields that have one."""
        found = example_data(self.template)
        return {name: text for name, text in found.items() if text != name}

    @property
    def fields(self) -> Iterator[Field]:
        """The fields that have a value; WeChat no longer shows ``first`` and ``remark``."""
        return (field for field in self.template.fields if field.name not in NOT_SHOWN)

    def personal(
        self,
        values: dict[str, str],
        table: TablePeople | None = None,
        kept: KeptValues | None = None,
    ) -> PersonalData:
        """``values`` by field name, which may hold placeholders; a table's own come before them,
        and what people got earlier is kept where they are empty.
        """
        if table is None and kept is None:
            return PersonalData(values, self.names, readers=self._readers)
        return TableData(values, self.names, self._readers, table, kept)

    @cached_property
    def _readers(self) -> Readers:
        """The site's own methods among the names."""
        own = {name: getattr(self.offered, name, None) for name in self.offered.placeholders}
        return {name: method for name, method in own.items() if callable(method)}

    def title(self, data: PersonalData) -> str:
        """The title of a message with this data, for which none is typed."""
        return title_of(self.template.render(data.shared))

    def card(self, values: dict[str, Any], url: str, miniprogram: MiniProgram | None) -> SafeString:
        """The card that a recipient of these values sees."""
        url, miniprogram = self.opened(url, miniprogram)
        notification = Notification(
            template=self.template, data=values, url=url, miniprogram=miniprogram
        )
        return notification_card(notification)

    def opened(self, url: str, miniprogram: MiniProgram | None) -> tuple[str, MiniProgram | None]:
        """What a tap opens: the whole link, and the mini program."""
        url, miniprogram = destination(self.template, url, miniprogram)
        return whole_url(url), miniprogram


@dataclass(frozen=True, kw_only=True)
class Composed:
    """What was composed, from a valid form."""

    composing: Composing
    data: PersonalData
    audience: Audience
    criteria: Criteria
    title: str
    """What was typed, or what the first shared values make."""
    url: str = ""
    miniprogram: MiniProgram | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    priority: Notification.Priority | None = None
    """None: by the number of recipients."""
    leave_out: bool = False
    """Whoever has a value that WeChat refuses is skipped, and the others get theirs."""
    table: TablePeople | None = None
    earlier: EarlierPeople | None = None

    @property
    def wrong_rows(self) -> list[WrongRow]:
        """Rows of the table that keep it from being sent."""
        return [] if self.table is None or self.leave_out else self.table.wrong

    def card_for(self, person: Any) -> SafeString:
        """The card as this recipient sees it. May raise ``InvalidData``."""
        return self.composing.card(self.data.for_person(person), self.url, self.miniprogram)
