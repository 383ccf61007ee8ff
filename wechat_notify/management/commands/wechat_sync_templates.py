"""``manage.py wechat_sync_templates``: register the templates that WeChat lists."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from ...conf import DEFAULT_ACCOUNT, settings
from ...exceptions import WeChatNotifyError
from ...models import MessageTemplate, SendLog
from ...services import (
    add_template,
    delete_template,
    name_fields,
    name_template,
    sync_templates,
)
from ...template_sync import MOST_TEMPLATES, SyncReport

ERRORS = (WeChatNotifyError, ImproperlyConfigured)


class Command(BaseCommand):
    help = (
        "Creates and updates templates as WeChat lists them. One that WeChat no longer lists "
        "becomes inactive; no row is ever deleted. Can also add a template of WeChat's library to "
        "the account, or delete one there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--account",
            help="The alias in ACCOUNTS. Left out: all accounts; for --add, --delete and --name, "
            "default.",
        )
        parser.add_argument("--keywords", nargs="+", default=[], help="With --add: what to show.")
        parser.add_argument(
            "--name",
            action="append",
            default=[],
            metavar="NAME[=TEMPLATE]",
            help="Name a template as code does: order_paid=TITLE, or its template ID. With --add: "
            "NAME alone.",
        )
        parser.add_argument(
            "--field",
            action="append",
            default=[],
            metavar="NAME.WORD=KEY",
            help="Name a field as code does: order_paid.order_no=character_string1. Repeatable.",
        )
        parser.add_argument("--yes", action="store_true", help="With --delete: do not ask.")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--dry-run", action="store_true", help="Show what would change and write nothing."
        )
        what.add_argument(
            "--add", metavar="SHORT_ID", help="Add this template of the library, such as 43216."
        )
        what.add_argument(
            "--delete", metavar="NAME", help="Delete this template on WeChat; its log stays here."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        one = options["account"] or DEFAULT_ACCOUNT
        try:
            if options["delete"]:
                self._delete(options["delete"], one, sure=options["yes"])
                return
            if options["add"]:
                self._add(one, options)
            only = any(options[given] for given in ("account", "add", "name", "field"))
            self._sync([one] if only else settings.aliases, dry_run=options["dry_run"])
            if not (options["add"] or options["dry_run"]):
                self._name(one, options["name"])
                self._name_fields(one, options["field"])
        except ERRORS as error:
            raise CommandError(str(error)) from error

    def _sync(self, aliases: list[str], *, dry_run: bool) -> None:
        """One account after the other; one that fails does not stop the rest."""
        failed = []
        for alias in aliases:
            try:
                self._print(alias, sync_templates(alias, dry_run=dry_run), dry_run=dry_run)
            except ERRORS as error:
                failed.append(f"{alias}: {error}")
        if failed:
            raise CommandError("\n".join(failed))

    def _name(self, account: str, pairs: list[str]) -> None:
        for pair in pairs:
            name, separator, which = pair.partition("=")
            if not separator:
                raise CommandError(f"--name {name} does not say which: --name {name}=TITLE_OR_ID")
            template = name_template(name, which, account=account)
            self.stdout.write(self.style.SUCCESS(f"Named {template.name}: {template.title}"))

    def _name_fields(self, account: str, pairs: list[str]) -> None:
        fields: dict[str, dict[str, str]] = {}
        for pair in pairs:
            left, equals, key = pair.partition("=")
            name, dot, word = left.partition(".")
            if not (equals and dot and word):
                raise CommandError(f"--field {pair} is not of the form NAME.WORD=KEY")
            fields.setdefault(name, {})[word] = key
        for name, words in fields.items():
            name_fields(name, words, account=account)
            said = ", ".join(f"{word} is {key}" for word, key in words.items())
            self.stdout.write(self.style.SUCCESS(f"Named in {name}: {said}"))

    def _add(self, account: str, options: dict[str, Any]) -> None:
        name = options["name"][-1] if options["name"] else ""
        template = add_template(options["add"], options["keywords"], name=name, account=account)
        self.stdout.write(self.style.SUCCESS(f"Added {template.name}: {template.template_id}"))

    def _delete(self, name: str, account: str, *, sure: bool) -> None:
        template = MessageTemplate.objects.filter(account=account, name=name).first()
        if template is None:
            raise CommandError(f"No template named {name!r} on account {account!r}.")
        if not (sure or self._confirmed(template)):
            raise CommandError("Nothing was deleted.")
        delete_template(template)
        self.stdout.write(self.style.SUCCESS(f"Deleted {template.name} on WeChat."))

    def _confirmed(self, template: MessageTemplate) -> bool:
        waiting = SendLog.objects.waiting().filter(notification__template=template).count()
        self.stdout.write(
            f"{template.name} ({template}) will be deleted from account {template.account!r} on "
            f"WeChat, which cannot be undone. {waiting} messages still wait to be sent with it."
        )
        try:
            return input("Type the template's name to delete it: ") == template.name
        except EOFError:
            raise CommandError("Nobody is there to confirm it: add --yes.") from None

    def _print(self, alias: str, report: SyncReport, *, dry_run: bool) -> None:
        self._lines("+", self.style.SUCCESS, report.created)
        self._lines("~", self.style.WARNING, report.updated)
        self._lines("-", self.style.ERROR, report.deactivated)
        for template in report.needed:
            self.stdout.write(
                self.style.ERROR(
                    f"  {template.name}: the site's code notifies with it, and fails until it is "
                    f"on WeChat again or another template has its name (--name)"
                )
            )
        self._lines("*", self.style.SUCCESS, report.reactivated)
        for template in report.by_hand:
            self.stdout.write(
                self.style.WARNING(
                    f"? {template.name}  entered by hand, WeChat's list does not have it: "
                    f"{template.template_id}"
                )
            )
        for name, lines in report.diffs.items():
            self.stdout.write(f"  {name}: the content has changed, check the code that sends it")
            for line in lines:
                style = self.style.SUCCESS if line.startswith("+") else self.style.ERROR
                self.stdout.write(style(f"    {line}"))
        for name, words in report.proposals.items():
            pairs = " ".join(f"--field {name}.{word}={key}" for word, key in words.items())
            self.stdout.write(
                self.style.WARNING(
                    f"? {name}  code declares other names. If these are right: {pairs}"
                )
            )
        self.stdout.write(
            f"{alias}: {len(report.created)} new, {len(report.updated)} changed, "
            f"{len(report.deactivated)} no longer on WeChat, {len(report.reactivated)} back again, "
            f"{len(report.unchanged)} unchanged. "
            f"WeChat has {report.listed} of at most {MOST_TEMPLATES}."
            + (" Nothing was written." if dry_run else "")
        )

    def _lines(self, mark: str, style: Any, templates: list[MessageTemplate]) -> None:
        for template in templates:
            self.stdout.write(style(f"{mark} {template.name}  {template.title}"))
