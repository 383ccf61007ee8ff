"""``manage.py wechat_import_bindings``: take over what another package knows of openids."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter

from ...backends.registry import get_backend
from ...binding.importing import ImportReport, import_bindings
from ...binding.sources import SOURCES, Source
from ...conf import DEFAULT_ACCOUNT, settings
from ...exceptions import WeChatNotifyError
from ...names import name_of
from ..progress import Bar

CONFLICTS_SHOWN = 50

HELP = """\
Makes bindings of openids that another installed package has collected. An openid that belongs to
somebody else already is reported and stays where it is; a second run changes nothing.

  allauth        django-allauth's social accounts of the provider weixin
  social-auth    social-auth-app-django's associations of weixin and weixinapp
  wechat-django  its WeChatUser rows with the account's own app id, linked to the site's users by
                 a model that has a foreign key to both (--link), or by the user model itself

An openid belongs to one app id. Those of a website login (a QR code on a login page,
snsapi_login) are not the official account's, and nothing can be sent to them. So WeChat is asked
about each one first, a hundred at a time, and also whether the person follows; --unchecked leaves
that out.
"""


class _AsWritten(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's order of options, and the help text in the lines it was written in."""


class Command(BaseCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = _AsWritten
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "sources",
            nargs="*",
            metavar="source",
            help=f"{', '.join(SOURCES)}; all that are installed where it is left out.",
        )
        parser.add_argument(
            "--account",
            default=DEFAULT_ACCOUNT,
            help="The alias in ACCOUNTS that the openids belong to (%(default)s).",
        )
        parser.add_argument(
            "--link",
            default="",
            metavar="APP.MODEL",
            help="For wechat-django: the model that links a WeChatUser to a user.",
        )
        parser.add_argument(
            "--unchecked", action="store_true", help="Believe the tables and do not ask WeChat."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Say what would be bound and write nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            settings.account(options["account"])
            check = self._check(options)
            for source in self._sources(options["sources"]):
                report = self._import(source, options, check=check)
                self._print(source, report, dry_run=options["dry_run"])
        except (WeChatNotifyError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error

    def _check(self, options: dict[str, Any]) -> bool:
        if options["unchecked"]:
            return False
        if not get_backend(options["account"]).supports_users:
            raise CommandError("The account's backend cannot ask WeChat. Use --unchecked.")
        return True

    def _sources(self, names: list[str]) -> list[Source]:
        for name in names:
            if name not in SOURCES:
                raise CommandError(f"No source {name!r}. There are {', '.join(SOURCES)}.")
            if not SOURCES[name].installed:
                raise CommandError(f"The source {name!r} is not in INSTALLED_APPS.")
        chosen = [SOURCES[name] for name in names]
        chosen = chosen or [source for source in SOURCES.values() if source.installed]
        if not chosen:
            raise CommandError(f"None of {', '.join(SOURCES)} is in INSTALLED_APPS.")
        return chosen

    def _import(self, source: Source, options: dict[str, Any], *, check: bool) -> ImportReport:
        with Bar(self.stdout) as bar:
            return import_bindings(
                source.rows(options["account"], options["link"]),
                options["account"],
                check=check,
                dry_run=options["dry_run"],
                progress=lambda report: bar(0, 0, f"{source.name}: {report.handled} openids"),
            )

    def _print(self, source: Source, report: ImportReport, *, dry_run: bool) -> None:
        shown = report.conflicts[:CONFLICTS_SHOWN]
        users = get_user_model()._base_manager.in_bulk({pk for _, *two in shown for pk in two})
        for openid, *two in shown:
            owner, wanted = (f"{name_of(users[pk])} (id {pk})" for pk in two)
            text = f"! {openid} belongs to {owner}, not to {wanted}: left as it is"
            self.stdout.write(self.style.WARNING(text))
        if len(report.conflicts) > CONFLICTS_SHOWN:
            self.stdout.write(f"! … and {len(report.conflicts) - CONFLICTS_SHOWN} more")
        counts = report.counts
        self.stdout.write(
            f"{source.name}: {counts['new']} bound, {counts['known']} bound before, "
            f"{counts['conflict']} of somebody else, {counts['foreign']} that WeChat does not "
            f"know here, {counts['unusable']} unusable."
            + (" Nothing was written." if dry_run else "")
        )
