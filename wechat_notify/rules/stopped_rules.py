"""The rules that are switched on and cannot be run, for the system checks and ``wechat_doctor``."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.db import DatabaseError, router
from django.utils.translation import gettext as _

from ..conf import settings
from ..diagnosis.finding import Finding, Level
from .active_rules import tried
from .models import Rule


def stopped_rules() -> Iterator[tuple[Rule, str]]:
    """Each of them with what is wrong with it now, in the site's language."""
    for rule, _ready, problem in tried(Rule.objects.filter(is_active=True)):
        if problem:
            yield rule, problem


def check_rules(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Rules that the code no longer allows, before they are missed.

    Asks the database only where Django lets checks do so, as ``migrate`` and
    ``check --database default`` do.
    """
    if router.db_for_write(Rule) not in (databases or ()):
        return []
    try:
        found = list(stopped_rules())
    except DatabaseError:  # not migrated yet
        return []
    return [
        CheckWarning(
            f"The rule “{rule.name}” is switched on and cannot be run. {problem}",
            hint="Allow again what it needs, correct the rule in the admin, or switch it off.",
            id="wechat_notify_rules.W001",
        )
        for rule, problem in found
    ]


def look_at_rules(alias: str) -> Iterator[Finding]:
    """The same for ``wechat_doctor``, with the account of their templates.

    Those of an account that is not configured are told with the first account.
    """
    for rule, problem in stopped_rules():
        account = rule.template.account
        if alias == account or (account not in settings.aliases and alias == settings.aliases[0]):
            names = {"rule": rule.name, "problem": problem}
            text = _("The rule “%(rule)s” has stopped. %(problem)s") % names
            yield Finding(Level.PROBLEM, text, _("Correct it in the admin, or switch it off."))
