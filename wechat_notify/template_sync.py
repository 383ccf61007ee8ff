"""Bringing the registered templates in line with WeChat's list, without ever deleting a row."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from .backends.registry import get_backend
from .conf import DEFAULT_ACCOUNT
from .exceptions import InvalidData, Problem, WeChatError
from .models import MessageTemplate
from .types import RemoteTemplate

# What WeChat decides. The name, the link and the notes are the site's own.
REMOTE_FIELDS = ("title", "content", "example")

MOST_TEMPLATES = 25
"""So many templates may be in use at once (WECHAT.md 2.3, Template_Message_Interface.html)."""

NO_SUCH_TEMPLATE = 40037


@dataclass
class SyncReport:
    """What a sync did, or would do: templates by what became of them.

    ``diffs`` holds, for each template whose content changed, the change as unified diff lines;
    such a template is flagged by ``content_changed_at``. ``listed``: how many WeChat has.
    """

    created: list[MessageTemplate] = field(default_factory=list)
    updated: list[MessageTemplate] = field(default_factory=list)
    deactivated: list[MessageTemplate] = field(default_factory=list)
    reactivated: list[MessageTemplate] = field(default_factory=list)
    unchanged: list[MessageTemplate] = field(default_factory=list)
    diffs: dict[str, list[str]] = field(default_factory=dict)
    listed: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.created or self.updated or self.deactivated or self.reactivated)


def sync_templates(account: str = DEFAULT_ACCOUNT, *, dry_run: bool = False) -> SyncReport:
    """Create, update and switch off templates as WeChat's list of this account says.

    A template that WeChat no longer lists becomes inactive and keeps its log; when it comes back
    it is active again. One registered by hand that WeChat never listed is left alone, because
    category templates are reported to be missing from the list (WECHAT.md 3). ``name``, ``url``,
    mini program and notes are never touched.

    ``dry_run`` writes nothing and reports what would be done. Raises ``WeChatError``,
    ``TransportError`` or ``ConfigurationError`` with nothing changed.
    """
    remote = {template.template_id: template for template in get_backend(account).get_templates()}
    now = timezone.now()
    report = SyncReport(listed=len(remote))
    with transaction.atomic(using=_database()):
        local = list(_registered(account).order_by("name"))
        for template in local:
            listed = remote.pop(template.template_id, None)
            if listed is None:
                _miss(template, now, report)
            else:
                _refresh(template, listed, now, report)
        names = {template.name for template in local}
        for listed in remote.values():
            _create(account, listed, names, now, report)
        if not dry_run:
            _write(report)
    return report


def add_template(
    short_id: str, keywords: Iterable[str] = (), *, name: str = "", account: str = DEFAULT_ACCOUNT
) -> MessageTemplate:
    """Add a template of WeChat's library to the account, and register it as ``name``.

    ``short_id`` is its number in the library, ``keywords`` the fields to show, in order, where it
    is a template of the category library. Title and content come with the next
    ``sync_templates``. An account has at most 25 templates; WeChat refuses one more with 45026.

    Raises ``InvalidData`` for a name that is taken or no slug, before WeChat is asked;
    ``WeChatError``, ``TransportError`` or ``ConfigurationError`` with nothing registered.
    """
    names = set(_registered(account).values_list("name", flat=True))
    if name:
        _require_good(name, names)
    template_id = get_backend(account).add_template(short_id, keywords)
    name = name or _free_name(template_id, names)
    return MessageTemplate.objects.create(account=account, name=name, template_id=template_id)


def _database() -> str:
    """The alias that templates are written to, and read from while they are."""
    return router.db_for_write(MessageTemplate)


def _registered(account: str) -> QuerySet[MessageTemplate]:
    return MessageTemplate.objects.using(_database()).filter(account=account)


def _require_good(name: str, taken: set[str]) -> None:
    try:
        MessageTemplate._meta.get_field("name").run_validators(name)
    except ValidationError as error:
        raise InvalidData([Problem("name", text, name) for text in error.messages]) from error
    if name in taken:
        raise InvalidData([Problem("name", "is taken on this account", name)])


def delete_template(template: MessageTemplate) -> None:
    """Delete a template from the account on WeChat. Here it becomes inactive and its log stays.

    One that WeChat no longer has is no error. Raises ``WeChatError``, ``TransportError`` or
    ``ConfigurationError`` with nothing changed.
    """
    try:
        get_backend(template.account).delete_template(template.template_id)
    except WeChatError as error:
        if error.errcode != NO_SUCH_TEMPLATE:
            raise
    template.is_active, template.missing_since = False, timezone.now()
    template.save(update_fields=["is_active", "missing_since"])


def _miss(template: MessageTemplate, now: datetime, report: SyncReport) -> None:
    known_missing = template.missing_since is not None  # whoever switched it on again knows better
    if template.synced_at is None or not template.is_active or known_missing:
        report.unchanged.append(template)
        return
    template.is_active = False
    template.missing_since = now
    report.deactivated.append(template)


def _refresh(
    template: MessageTemplate, listed: RemoteTemplate, now: datetime, report: SyncReport
) -> None:
    template.synced_at = now
    came_back = template.missing_since is not None
    if came_back:
        template.is_active, template.missing_since = True, None
        report.reactivated.append(template)
    if template.content and template.content != listed.content:
        template.content_changed_at = now
        report.diffs[template.name] = _diff(template.content, listed.content)
    changed = [name for name in REMOTE_FIELDS if getattr(template, name) != getattr(listed, name)]
    for name in changed:
        setattr(template, name, getattr(listed, name))
    if changed:
        report.updated.append(template)
    elif not came_back:
        report.unchanged.append(template)


def _create(
    account: str, listed: RemoteTemplate, names: set[str], now: datetime, report: SyncReport
) -> None:
    name = _free_name(listed.template_id, names)
    names.add(name)
    report.created.append(
        MessageTemplate(
            account=account,
            name=name,
            template_id=listed.template_id,
            title=listed.title,
            content=listed.content,
            example=listed.example,
            synced_at=now,
        )
    )


def _free_name(template_id: str, names: set[str]) -> str:
    """A slug that nobody has yet; somebody will give it a better one in the admin."""
    length = 8
    taken = {name.lower() for name in names}
    while (name := f"t-{template_id[:length]}").lower() in taken:
        length += 1
    return name


def _diff(old: str, new: str) -> list[str]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _write(report: SyncReport) -> None:
    for template in report.created:
        template.save(force_insert=True)
    lists = (report.updated, report.deactivated, report.reactivated, report.unchanged)
    touched = {template.pk: template for templates in lists for template in templates}
    fields = [*REMOTE_FIELDS, "is_active", "missing_since", "content_changed_at", "synced_at"]
    MessageTemplate.objects.bulk_update(touched.values(), fields)
