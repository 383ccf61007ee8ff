"""Bringing the registered templates in line with WeChat's list, without ever deleting one."""

import difflib
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from .backends.registry import get_backend
from .conf import DEFAULT_ACCOUNT
from .models import MessageTemplate
from .types import RemoteTemplate

# What WeChat decides. The name, the link and the notes are the site's own.
REMOTE_FIELDS = ("title", "content", "example")


@dataclass
class SyncReport:
    """What a sync did, or would do: templates by what became of them.

    ``diffs`` holds, for each template whose content changed, the change as unified diff lines.
    """

    created: list[MessageTemplate] = field(default_factory=list)
    updated: list[MessageTemplate] = field(default_factory=list)
    deactivated: list[MessageTemplate] = field(default_factory=list)
    reactivated: list[MessageTemplate] = field(default_factory=list)
    unchanged: list[MessageTemplate] = field(default_factory=list)
    diffs: dict[str, list[str]] = field(default_factory=dict)

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
    report = SyncReport()
    with transaction.atomic():
        local = list(MessageTemplate.objects.filter(account=account).order_by("name"))
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


def _miss(template: MessageTemplate, now: datetime, report: SyncReport) -> None:
    if template.synced_at is None or not template.is_active:
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
