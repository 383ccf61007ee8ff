"""What is being composed, and by whom. It lives in the form: nothing is kept on the server."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, QueryDict
from django.utils.safestring import SafeString

from ...const_values import Learned, learn
from ...delivery.audience import Audience
from ...delivery.placeholders import PersonalData, usable_names
from ...models import MessageTemplate, Notification
from ...types import MiniProgram
from ...wechat.fields import NOT_SHOWN, Field
from ..access import allowed_accounts
from ..previews import example_data, notification_card
from .people import People

PLACEHOLDERS = "wechat_placeholders"
"""The attribute of a site's own ``AdminSite`` that allows more of a user in messages."""

VALUE = "value_"
FIELDS = frozenset(
    {
        "url",
        "miniprogram_appid",
        "miniprogram_pagepath",
        "everyone",
        "filters",
        "groups",
        "users",
        "pasted",
        "list_label",
        "list_query",
        "list_ids",
        "saved_as",
        "when",
        "send_at",
        "expires_at",
    }
)
"""Names of the form's inputs; each value of the message has one more, ``value_`` and its field."""


def is_carried(name: str) -> bool:
    """Whether an input is part of the draft, to be said again by the next page."""
    return name in FIELDS or name.startswith(VALUE)


def carried(data: QueryDict, *more: str) -> list[tuple[str, str]]:
    """The draft's inputs with their values, for hidden ones on a page that does not show them."""
    names = [name for name in data if is_carried(name) or name in more]
    return [(name, value) for name in names for value in data.getlist(name)]


def templates_for(site: AdminSite, request: HttpRequest) -> Any:
    """The templates that this member of staff may send with: none of an account that they may not
    use, or that is no longer in the settings."""
    allowed = allowed_accounts(site, request)
    return MessageTemplate.objects.active().filter(account__in=allowed)


@dataclass(frozen=True)
class Composing:
    """One template in the hands of one member of staff."""

    site: AdminSite
    request: HttpRequest
    template: MessageTemplate

    @cached_property
    def people(self) -> People:
        return People(self.site, self.request)

    @cached_property
    def names(self) -> dict[str, str]:
        """What may follow ``user.`` in a placeholder, with what people call it."""
        return usable_names(getattr(self.site, PLACEHOLDERS, ()))

    @cached_property
    def learned(self) -> dict[str, Learned]:
        return learn(self.template)

    @cached_property
    def examples(self) -> dict[str, str]:
        """WeChat's own example of each value, where it has one."""
        found = example_data(self.template)
        return {name: text for name, text in found.items() if text != name}

    @property
    def fields(self) -> Iterator[Field]:
        """The fields that have a value; WeChat no longer shows ``first`` and ``remark``."""
        return (field for field in self.template.fields if field.name not in NOT_SHOWN)

    def personal(self, values: dict[str, str]) -> PersonalData:
        """``values`` by field name, as they may differ from one recipient to another."""
        return PersonalData(values, self.names)

    def card(self, values: dict[str, Any], url: str, miniprogram: MiniProgram | None) -> SafeString:
        """The card as whoever gets these values sees it.

        As with ``notify()``, the template's mini program does not hide a link of the message's own.
        """
        notification = Notification(
            template=self.template,
            data=values,
            url=url or self.template.url,
            miniprogram=miniprogram or (None if url else self.template.miniprogram),
        )
        return notification_card(notification)


@dataclass(frozen=True)
class Message:
    """What was composed, every input of it valid by itself."""

    composing: Composing
    data: PersonalData
    audience: Audience
    url: str = ""
    miniprogram: MiniProgram | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None

    def card_for(self, person: Any) -> SafeString:
        """The card as this recipient sees it. May raise ``InvalidData``."""
        return self.composing.card(self.data.for_person(person), self.url, self.miniprogram)
