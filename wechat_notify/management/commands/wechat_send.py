"""``manage.py wechat_send``: one message from the shell."""

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ...dispatchers.sender_thread import EXIT_SECONDS, sender
from ...exceptions import WeChatNotifyError
from ...models import Notification, SendLog
from ...names import name_of
from ...services import notify
from ...wechat.masking import mask_openid


def field(text: str) -> tuple[str, str]:
    """``thing1=围巾`` as a pair."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ArgumentTypeError(f"{text!r} is not of the form field=value")
    return name, value


class Command(BaseCommand):
    help = "Sends one template message to a user or an openid, and shows what became of it."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that takes fields after options too: ``order_paid --user alice thing1=…``."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("template", help="The name of a registered template.")
        parser.add_argument(
            "fields", nargs="*", type=field, metavar="field=value", help="The template's data."
        )
        parser.add_argument("--user", action="append", default=[], help="A user name; repeatable.")
        parser.add_argument("--openid", action="append", default=[], help="Repeatable.")
        parser.add_argument("--json", help="The data as JSON instead of field=value.")
        parser.add_argument(
            "--title", default="", help="What it is called in the admin; recipients do not see it."
        )
        parser.add_argument("--url", default="", help="Where a tap on the card leads.")
        parser.add_argument("--account", help="The alias in ACCOUNTS (default: default).")
        parser.add_argument(
            "--priority",
            choices=[priority.name.lower() for priority in Notification.Priority],
            help="What is more urgent is sent first (default: normal; bulk for more than 100).",
        )
        parser.add_argument("--key", default="", help="Send only once under this key.")
        parser.add_argument(
            "--test", action="store_true", help="Mark it as a test: statistics do not count it."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        recipients = [*self._users(options["user"]), *options["openid"]]
        if not recipients:
            raise CommandError("Say to whom: --user NAME or --openid OPENID.")
        try:
            notification = notify(
                recipients,
                options["template"],
                self._data(options),
                title=options["title"],
                url=options["url"],
                account=options["account"],
                key=options["key"],
                priority=self._priority(options),
                is_test=options["test"],
                _source=Notification.Source.COMMAND,
            )
        except (WeChatNotifyError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        self._wait(notification)
        self._report(notification)

    def _users(self, names: list[str]) -> list[Any]:
        model = get_user_model()
        users = []
        for name in names:
            user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
            if user is None:
                raise CommandError(f"There is no user {name!r}.")
            users.append(user)
        return users

    def _priority(self, options: dict[str, Any]) -> Notification.Priority | None:
        name = options["priority"]
        return None if name is None else Notification.Priority[name.upper()]

    def _data(self, options: dict[str, Any]) -> Any:
        if options["json"] is not None and options["fields"]:
            raise CommandError("Give the data as field=value or as --json, not both.")
        if options["json"] is None:
            return dict(options["fields"])
        try:
            return json.loads(options["json"])
        except ValueError as error:
            raise CommandError(f"--json is not JSON: {error}") from error

    @staticmethod
    def _wait(notification: Notification) -> None:
        """As long as a script that ends would, where a thread of this process sends."""
        until = time.monotonic() + EXIT_SECONDS
        due = notification.logs.filter(status__in=SendLog.OPEN, due_at__lte=timezone.now())
        while sender.get().is_running and due.exists() and time.monotonic() < until:
            time.sleep(0.05)

    def _report(self, notification: Notification) -> None:
        bad = 0
        for log in notification.logs.select_related("user").order_by("pk"):
            ok = log.status in (SendLog.Status.SENT, SendLog.Status.DELIVERED)
            waits = log.status in SendLog.OPEN
            bad += not (ok or waits)
            style = self.style.SUCCESS if ok else self.style.WARNING if waits else self.style.ERROR
            who = name_of(log.user) if log.user else mask_openid(log.openid)
            detail = f"msgid {log.msgid}" if ok else log.explanation
            self.stdout.write(style(f"{who}  {log.get_status_display()}  {detail}".rstrip()))
        if bad:
            raise CommandError(f"{bad} of {notification.total} did not go out.")
