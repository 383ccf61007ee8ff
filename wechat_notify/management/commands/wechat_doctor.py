"""``manage.py wechat_doctor``: is everything all right, and if not, what is to be done?"""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from ...conf import settings
from ...diagnosis import Finding, Level, examine
from ...services import resume_account

MARKS = {Level.OK: "ok     ", Level.NOTE: "note   ", Level.PROBLEM: "PROBLEM"}


class Command(BaseCommand):
    help = (
        "Looks at each account's settings, cache, token, quota, rest, templates and messages, and "
        "says what to do. Exits with 1 if something needs a person."
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
            raise CommandError('WECHAT_NOTIFY["ACCOUNTS"] is empty: there is nothing to look at.')
        try:
            problems = sum(self._examine(alias, options["verbosity"]) for alias in aliases)
        except DatabaseError as error:
            raise CommandError(f"The database does not answer. {error}".strip()) from error
        if problems:
            raise CommandError(f"{problems} problem(s) need somebody.")

    def _clear(self, alias: str) -> None:
        resume_account(alias)
        self.stdout.write(self.style.SUCCESS(f"Account {alias!r} may send again."))
        self.stdout.write("What has been waiting for it goes out as new messages do.")

    def _examine(self, alias: str, verbosity: int) -> int:
        """Print what is found; how many problems there are."""
        if verbosity > 0:
            self.stdout.write(self.style.MIGRATE_HEADING(f"Account {alias!r}"))
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
        mark = styles[finding.level](MARKS[finding.level])
        self.stdout.write(f"  {mark}  {finding.text}")
        if finding.next_step:
            self.stdout.write(f"           -> {finding.next_step}")
