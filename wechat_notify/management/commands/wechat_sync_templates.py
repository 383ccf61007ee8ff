"""``manage.py wechat_sync_templates``: register the templates that WeChat lists."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ...conf import settings
from ...exceptions import WeChatNotifyError
from ...models import MessageTemplate
from ...services import sync_templates
from ...template_sync import SyncReport


class Command(BaseCommand):
    help = (
        "Creates and updates templates as WeChat lists them. One that WeChat no longer lists "
        "becomes inactive; none is ever deleted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--account", help="The alias in ACCOUNTS; all accounts where it is left out."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Show what would change and write nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            aliases = [options["account"]] if options["account"] else settings.aliases
            for alias in aliases:
                report = sync_templates(alias, dry_run=options["dry_run"])
                self._print(alias, report, dry_run=options["dry_run"])
        except (WeChatNotifyError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def _print(self, alias: str, report: SyncReport, *, dry_run: bool) -> None:
        self._lines("+", self.style.SUCCESS, report.created)
        self._lines("~", self.style.WARNING, report.updated)
        self._lines("-", self.style.ERROR, report.deactivated)
        self._lines("*", self.style.SUCCESS, report.reactivated)
        for name, lines in report.diffs.items():
            self.stdout.write(f"  {name}: the content has changed")
            for line in lines:
                style = self.style.SUCCESS if line.startswith("+") else self.style.ERROR
                self.stdout.write(style(f"    {line}"))
        self.stdout.write(
            f"{alias}: {len(report.created)} new, {len(report.updated)} changed, "
            f"{len(report.deactivated)} no longer on WeChat, {len(report.reactivated)} back again, "
            f"{len(report.unchanged)} unchanged." + (" Nothing was written." if dry_run else "")
        )

    def _lines(self, mark: str, style: Any, templates: list[MessageTemplate]) -> None:
        for template in templates:
            self.stdout.write(style(f"{mark} {template.name}  {template.title}"))
