"""The template that a message is written with."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet

from ..conf import DEFAULT_ACCOUNT, settings
from ..exceptions import TemplateNotFound
from ..models import MessageTemplate, Notification, SendLog

makers: list[Callable[[str, str], MessageTemplate | None]] = []
"""Called with name and account of a template that is not registered, to make one. Empty but in
tests: ``wechat_outbox()`` adds a function."""


def find_active(template: MessageTemplate | str, account: str | None) -> MessageTemplate:
    """The active template of this name on ``account``, by default the template's own.

    One that is gone from WeChat and has a stand-in counts as active.

    Raises ``AccountNotConfigured``, and ``TemplateNotFound`` with what to do about it.
    """
    if isinstance(template, str):
        found = _named(template, account or DEFAULT_ACCOUNT)
    else:
        found = _on_account(template, account or template.account)
    if not found.is_active and found.sends_with() is None:
        raise TemplateNotFound(
            f"Template {found.name!r} on account {found.account!r} is not active: WeChat no longer "
            f"lists it, or somebody switched it off. Sync the templates or activate it in the "
            f"admin."
        )
    return found


def _named(name: str, account: str) -> MessageTemplate:
    settings.account(account)
    found = MessageTemplate.objects.filter(account=account, name=name).first()
    for make in makers:
        found = found or make(name, account)
    if found is None:
        raise TemplateNotFound(
            f"No template named {name!r} on account {account!r}. Name one in the admin, or run "
            f'manage.py wechat_sync_templates --account {account} --name "{name}=…" with its title '
            f"or template ID."
        )
    return found


def _on_account(template: MessageTemplate, account: str) -> MessageTemplate:
    settings.account(account)
    if account != template.account:
        raise TemplateNotFound(
            f"Template {template.name!r} belongs to account {template.account!r}, not to "
            f"{account!r}."
        )
    return template


def templates_again(logs: QuerySet[SendLog]) -> list[MessageTemplate]:
    """The templates that these rows would be sent with once more, by account and name.

    In two queries, however many notifications there are.
    """
    pairs: Any = logs.order_by().values_list(
        "notification__template_id", "notification__template_name"
    )
    known: set[tuple[int, str | None]] = set(pairs.distinct())
    names = {name for _pk, name in known if name is not None}
    rows = MessageTemplate.objects.filter(Q(pk__in={pk for pk, _n in known}) | Q(name__in=names))
    found = {one.pk: one for one in rows.select_related("stand_in")}
    named = {(one.account, one.name): one for one in found.values()}
    chosen = {named.get((found[pk].account, name or ""), found[pk]).pk for pk, name in known}
    return sorted((found[pk] for pk in chosen), key=lambda one: (one.account, one.name))


def template_again(old: Notification) -> MessageTemplate:
    """The template to send a notification's messages with once more: the one that has its name now.

    Its own, if that still has the name, or if no template has it any more.
    """
    own = old.template
    if old.template_name in (None, own.name):
        return own
    named = MessageTemplate.objects.filter(account=own.account, name=old.template_name)
    return named.first() or own
