"""``manage.py wechat_sync_followers``: who of the bound people still follows."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ...backends.registry import get_backend
from ...binding.follower_sync import SyncReport, sync_followers
from ...conf import settings
from ...exceptions import WeChatNotifyError
from ..progress import Bar


class Command(BaseCommand):
    help = (
        "Compares the bindings with WeChat's list of followers and corrects who follows and who "
        "does not. An interrupted run goes on where it stopped, within a day."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--account", help="The alias in ACCOUNTS; all accounts where it is left out."
        )
        parser.add_argument(
            "--restart", action="store_true", help="Begin anew instead of going on."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for alias in [options["account"]] if options["account"] else settings.aliases:
                if options["account"] or get_backend(alias).supports_users:
                    self._sync(alias, restart=options["restart"])
                else:
                    self.stdout.write(f"{alias}: its backend knows no followers.")
        except WeChatNotifyError as error:
            raise CommandError(f"{error} Run it again: it goes on where it stopped.") from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error

    def _sync(self, alias: str, *, restart: bool) -> None:
        with Bar(self.stdout) as bar:

            def draw(report: SyncReport) -> None:
                text = f"{report.listed} followers listed, {report.changes.checked} asked about"
                bar(report.listed, report.followers, text)

            report = sync_followers(alias, restart=restart, progress=draw)
        changes = report.changes
        self.stdout.write(
            f"{alias}: {report.listed} followers listed, {changes.checked} bindings asked about, "
            f"{changes.subscribed} follow again, {changes.unsubscribed} do not follow any more."
            + (" It went on where the last run stopped." if report.resumed else "")
        )
