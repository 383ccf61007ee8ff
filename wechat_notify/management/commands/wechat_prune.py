"""``manage.py wechat_prune``: delete what is old from the send log."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ...conf import settings
from ...retention import Pruned, prune


def days(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of days, 1 or more")
    return int(text)


class Command(BaseCommand):
    help = (
        "Deletes messages older than RETENTION_DAYS from the send log, then the notifications "
        "left without any, old receipts, failures of triggers and drafts. What is waiting or being "
        "sent is never deleted. Safe beside workers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=days, help="Older than this, instead of RETENTION_DAYS.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Count what would go and delete nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            age = options["days"] or settings.RETENTION_DAYS
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        try:
            before = timezone.now() - timedelta(days=age)
        except OverflowError as error:
            raise CommandError(f"There was no day {age} days ago.") from error
        self._verbose = options["verbosity"] > 1
        done = prune(before, dry_run=options["dry_run"], progress=self._progress)
        if options["verbosity"] > 0:
            what = "would be deleted" if options["dry_run"] else "deleted"
            told = [
                f"Older than {age} days: {done.messages} messages, {done.notifications} "
                f"notifications, {done.receipts} receipts and {done.failures} failures of triggers "
                f"{what}.",
                f"{done.drafts} drafts {what}.",
            ]
            told += [f"{count} {name} {what}." for name, count in done.others.items()]
            self.stdout.write(" ".join(told))

    def _progress(self, done: Pruned) -> None:
        if self._verbose:
            self.stdout.write(f"{done.messages} messages, {done.notifications} notifications")
