"""Whether a rule is on, off, in dry run or stopped, in the words and colours of its badge."""

from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ...admin.parts.badges import badge
from ...wechat.errors import Words
from ..models import Rule
from ..ready import make_ready

ON, DRY_RUN, OFF, STOPPED = "on", "dry_run", "off", "stopped"

LABELS: dict[str, Words] = {
    ON: _("on"),
    DRY_RUN: _("dry run"),
    OFF: _("off"),
    STOPPED: _("stopped"),
}
WAITS = "approval"
WAITING_LABEL = _("waiting for approval")
"""Beside one of the four, while somebody wants it to be on."""

TONES = {ON: "good", DRY_RUN: "waiting", OFF: "quiet", STOPPED: "bad"}


def state_of(rule: Rule) -> str:
    """One of the four."""
    if not rule.is_active:
        return OFF
    if rule.stopped_because:
        return STOPPED
    return DRY_RUN if rule.dry_run else ON


def state_badge(rule: Rule) -> SafeString:
    state = state_of(rule)
    return badge(LABELS[state], TONES[state])


def waits_badge() -> SafeString:
    """That a second person is asked to approve that it is on."""
    return badge(WAITING_LABEL, "doubt")


def problems_of(rule: Rule) -> list[str]:
    """Why this rule cannot run; nothing if it can."""
    try:
        make_ready(rule)
    except ValidationError as error:
        return error.messages
    return []
