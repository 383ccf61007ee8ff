"""``manage.py wechat_doctor``: is everything all right, and if not, what is to be done?"""

from argparse import ArgumentParser
from textwrap import indent
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...conf import settings
from ...diagnosis.examination import examine
from ...diagnosis.finding import Finding, Level
from ...services import resume_account

MARKS: dict[Level, Promise] = {
    Level.OK: gettext_lazy("ok"),
    Level.NOTE: gettext_lazy("note"),
    Level.PROBLEM: gettext_lazy("PROBLEM"),
}


class Command(BaseCommand):
    help = (
        "Looks at each account's settings, database, cache, token, quota, rest, templates, "
        "messages and receipts, and says what to do. Exits with 1 if something needs a person."
    )
    # A broken setting is what this command is for.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", help="The alias in ACCOUNTS; all where it is left out.")
        parser.add_argument(
            "--clear",
            metavar="ACCOUNT",
            help="End this account's rest, once its cause is mended: sending goes on.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["clear"]:
                self._clear(options["clear"])
                return
            aliases = [options["account"]] if options["account"] else settings.aliases
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if not aliases:
            text = _("%(setting)s is empty: there is nothing to look at.")
            raise CommandError(text % {"setting": 'WECHAT_NOTIFY["ACCOUNTS"]'})
        try:
            problems = sum(self._examine(alias, options["verbosity"]) for alias in aliases)
        except DatabaseError as error:
            raise CommandError(f"{_('The database does not answer.')} {error}".strip()) from error
        if problems:
            text = ngettext(
                "%(count)d problem needs somebody.", "%(count)d problems need somebody.", problems
            )
            raise CommandError(text % {"count": problems})

    def _clear(self, alias: str) -> None:
        resume_account(alias)
        text = _("Account '%(account)s' may send again.") % {"account": alias}
        self.stdout.write(self.style.SUCCESS(text))
        self.stdout.write(_("What has been waiting for it goes out as new messages do."))

    def _examine(self, alias: str, verbosity: int) -> int:
        """Print what is found; how many problems there are."""
        if verbosity > 0:
            heading = _("Account '%(account)s'") % {"account": alias}
            self.stdout.write(self.style.MIGRATE_HEADING(heading))
        found = list(examine(alias))
        for finding in found:
            if verbosity > 0 or finding.level is Level.PROBLEM:
                self._print(finding)
        return sum(finding.level is Level.PROBLEM for finding in found)

    def _print(self, finding: Finding) -> None:
        styles = {
            Level.OK: self.style.SUCCESS,
            Level.NOTE: self.style.WARNING,
            Level.PROBLEM: self.style.ERROR,
        }
        width = max(len(str(mark)) for mark in MARKS.values())
        mark = styles[finding.level](str(MARKS[finding.level]).ljust(width))
        self.stdout.write(f"  {mark}  {finding.text}")
        if finding.next_step:
            self.stdout.write(indent(f"-> {finding.next_step}", " " * 11))
