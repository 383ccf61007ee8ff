"""An account's templates: which can be used, and what WeChat has changed."""

from collections.abc import Iterator

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from ..models import MessageTemplate
from ..wechat.errors import describe
from .finding import Finding, Level, local, sentences

NAMES_SHOWN = 5


def look_at_templates(alias: str) -> Iterator[Finding]:
    """What is registered for the account."""
    templates = MessageTemplate.objects.filter(account=alias).order_by("name")
    active = templates.active()
    yield _active(alias, active)
    for template in active.filter(paused_at__isnull=False):
        yield _paused(template)
    yield from _listed(
        templates.filter(missing_since__isnull=False),
        _("Templates %(names)s: no longer on WeChat, so switched off."),
    )
    yield from _listed(
        active.filter(content_changed_at__isnull=False),
        _("Templates %(names)s: changed on WeChat. See whether your data still fits."),
    )


def _active(alias: str, active: QuerySet[MessageTemplate]) -> Finding:
    count = active.count()
    run = _("Run wechat_sync_templates --account %(account)s.") % {"account": alias}
    if not count:
        text = _("Templates: none is active, so nothing can be sent.")
        return Finding(Level.PROBLEM, text, sentences(run, _("Or add one in the admin.")))
    seen = active.filter(synced_at__isnull=False).order_by("synced_at")
    oldest = seen.first()
    if oldest is None or oldest.synced_at is None or seen.count() < count:
        names = {"count": count, "unseen": count - seen.count()}
        text = _("Templates: %(count)d active, %(unseen)d never compared with WeChat.") % names
        return Finding(Level.NOTE, text, run)
    text = _("Templates: %(count)d active, compared with WeChat at %(when)s or later.")
    return Finding(Level.OK, text % {"count": count, "when": local(oldest.synced_at)})


def _paused(template: MessageTemplate) -> Finding:
    resume = _("Resume it in the admin.")
    if not template.pause_errcode:
        text = _("Template %(name)s: paused by hand.") % {"name": template.name}
        return Finding(Level.PROBLEM, text, resume)
    info = describe(template.pause_errcode)
    names = {"name": template.name, "cause": info.cause_in_words()}
    text = _("Template %(name)s: paused. %(cause)s") % names
    text = sentences(text, template.listed_in_words)
    return Finding(Level.PROBLEM, text, sentences(str(info.next_step), resume))


def _listed(found: QuerySet[MessageTemplate], what: str) -> Iterator[Finding]:
    names = list(found.values_list("name", flat=True))
    if names:
        yield Finding(Level.NOTE, what % {"names": _shortened(names)})


def _shortened(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    if len(names) <= NAMES_SHOWN:
        return shown
    return _("%(names)s and %(count)d more") % {"names": shown, "count": len(names) - NAMES_SHOWN}
