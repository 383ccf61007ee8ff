"""Updates the registered templates from WeChat's list. It never deletes a row."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from . import declarations
from .backends.registry import get_backend
from .conf import DEFAULT_ACCOUNT
from .exceptions import InvalidData, Problem, TemplateNotFound, WeChatError
from .models import MessageTemplate
from .proposals import propose_names
from .sending.listing import NO_SUCH_TEMPLATE
from .sending.outcomes import note_templates
from .template_replacement import names_in_use
from .types import RemoteTemplate

# Copied from WeChat's list. The name, the link and the notes are the site's own.
REMOTE_FIELDS = ("title", "content", "example")

MOST_TEMPLATES = 25
"""The most templates in use at once (docs/wechat-api.md, 2.3)."""


@dataclass
class SyncReport:
    """What a sync did, or would do: the templates that it created, updated, and so on.

    ``diffs`` holds, for each template whose content changed, the change as unified diff lines;
    such a template has ``content_changed_at``. ``by_hand``: entered by hand, and WeChat's list does
    not have them. ``listed``: how many WeChat has.
    """

    created: list[MessageTemplate] = field(default_factory=list)
    updated: list[MessageTemplate] = field(default_factory=list)
    deactivated: list[MessageTemplate] = field(default_factory=list)
    reactivated: list[MessageTemplate] = field(default_factory=list)
    unchanged: list[MessageTemplate] = field(default_factory=list)
    by_hand: list[MessageTemplate] = field(default_factory=list)
    diffs: dict[str, list[str]] = field(default_factory=dict)
    listed: int = 0

    @property
    def needed(self) -> list[MessageTemplate]:
        """Those switched off that the site's code declares: what notifies with them fails now."""
        declared = {(one.account, one.template) for one in declarations.declared}
        return [one for one in self.deactivated if (one.account, one.name) in declared]

    @property
    def proposals(self) -> dict[str, dict[str, str]]:
        """By template, a key for each word that code declares and that has no field yet."""
        lists = (self.created, self.updated, self.reactivated, self.unchanged)
        found = {}
        for template in {one.name: one for many in lists for one in many}.values():
            declared = declarations.fields_of(template.name, template.account) or frozenset()
            named = template.field_names
            free = [one for one in template.fields if one.name not in named.values()]
            words = declared - named.keys() - {one.name for one in template.fields}
            if proposed := propose_names(words, free):
                found[template.name] = proposed
        return found

    @property
    def changed(self) -> bool:
        return bool(self.created or self.updated or self.deactivated or self.reactivated)


def sync_templates(account: str = DEFAULT_ACCOUNT, *, dry_run: bool = False) -> SyncReport:
    """Create, update and deactivate templates according to WeChat's list of this account.

    A template that WeChat no longer lists becomes inactive and keeps its log; when it comes back
    it is active again. One registered by hand that WeChat never listed is only reported, because
    category templates are said to be missing from the list (docs/wechat-api.md, 3). ``name``,
    ``field_names``, stand-in, ``url``, mini program and notes are never touched.

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
    if report.deactivated and not dry_run:
        note_templates()
    return report


def add_template(
    short_id: str, keywords: Iterable[str] = (), *, name: str = "", account: str = DEFAULT_ACCOUNT
) -> MessageTemplate:
    """Add a template of WeChat's library to the account, and register it as ``name``.

    ``short_id`` is its number in the library. ``keywords`` are the fields to show, in order, for a
    template of the category library. The next ``sync_templates`` fills in title and content. An
    account has at most 25 templates; WeChat refuses one more with 45026.

    Raises ``InvalidData`` for a name that is taken or no slug, before any request;
    ``WeChatError``, ``TransportError`` or ``ConfigurationError`` with nothing registered.
    """
    names = set(_registered(account).values_list("name", flat=True))
    if name:
        _require_good(name, names)
    template_id = get_backend(account).add_template(short_id, keywords)
    name = name or _free_name(template_id, names)
    return MessageTemplate.objects.create(account=account, name=name, template_id=template_id)


def name_template(name: str, which: str, *, account: str = DEFAULT_ACCOUNT) -> MessageTemplate:
    """Give a registered template the ``name`` that code uses.

    ``which`` is its template ID, its title or its present name. Raises ``TemplateNotFound`` if that
    is not exactly one template, and ``InvalidData`` for a name that is taken or no slug.
    """
    meant = Q(template_id=which) | Q(title=which) | Q(name=which)
    found = list(_registered(account).filter(meant).order_by("pk"))
    if len(found) != 1:
        there = found or _registered(account).order_by("pk")
        lines = [f"\n  {one.template_id}  {one.title}" for one in there]
        raise TemplateNotFound(
            f"{len(found) or 'No'} templates of account {account!r} are called {which!r}. "
            f"Use one of these template IDs:{''.join(lines) or ' there are none.'}"
        )
    template = found[0]
    if template.name != name:
        _require_good(name, set(_registered(account).values_list("name", flat=True)))
        template.name = name
        template.save(using=_database(), update_fields=["name"])
    return template


def name_fields(
    name: str, fields: Mapping[str, str], *, account: str = DEFAULT_ACCOUNT
) -> MessageTemplate:
    """Add the site's own words for fields of the template ``name``: {word: WeChat's key}.

    The others stay. Raises ``TemplateNotFound``, and ``InvalidData`` with everything that is wrong
    with the names, or for one that waiting messages use with another key.
    """
    template = _registered(account).filter(name=name).first()
    if template is None:
        raise TemplateNotFound(f"No template named {name!r} on account {account!r}.")
    before = template.field_names
    names = {**before, **fields}
    moved = [word for word in fields if word in before and before[word] != fields[word]]
    problems = template.name_problems(names)
    problems += [
        Problem(word, _("is used by waiting messages"), other_name=before[word])
        for word in names_in_use(template, moved)
    ]
    if problems:
        raise InvalidData(problems, template=name)
    template.field_names = names
    template.save(using=_database(), update_fields=["field_names"])
    return template


def _database() -> str:
    """The alias of the database that templates are written to."""
    return router.db_for_write(MessageTemplate)


def _registered(account: str) -> QuerySet[MessageTemplate]:
    return MessageTemplate.objects.filter(account=account)


def _require_good(name: str, taken: set[str]) -> None:
    try:
        MessageTemplate._meta.get_field("name").run_validators(name)
    except ValidationError as error:
        raise InvalidData([Problem("name", text, name) for text in error.messages]) from error
    if name in taken:
        raise InvalidData([Problem("name", "is taken on this account", name)])


def delete_template(template: MessageTemplate) -> None:
    """Delete a template from the account on WeChat. Its row becomes inactive, and its log stays.

    A template that WeChat does not have is no error. Raises ``WeChatError``, ``TransportError`` or
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
    if template.synced_at is None:
        report.by_hand.append(template)
    known_missing = template.missing_since is not None  # if active, somebody activated it again
    if template.synced_at is None or not template.is_active or known_missing:
        report.unchanged.append(template)
        return
    template.is_active = False
    template.missing_since = now
    report.deactivated.append(template)


def _refresh(
    template: MessageTemplate, listed: RemoteTemplate, now: datetime, report: SyncReport
) -> None:
    template.synced_at, template.listed_as = now, MessageTemplate.Listing.TEMPLATE
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
            listed_as=MessageTemplate.Listing.TEMPLATE,
        )
    )


def _free_name(template_id: str, names: set[str]) -> str:
    """A name that is not taken, for a template that nobody has named yet."""
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
    fields += ["listed_as"]
    MessageTemplate.objects.bulk_update(touched.values(), fields)
    MessageTemplate.objects.filter(pk__in=touched).revise()
