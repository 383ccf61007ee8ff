"""``manage.py wechat_deliver``: the worker."""

import signal
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from ...account_state import closed_ways
from ...conf import settings
from ...diagnosis.finding import sentences
from ...diagnosis.reachability import closure_in_words, closure_next_step, rest_in_words
from ...dispatchers.worker import Worker
from ...models import DATABASE_TROUBLE, Notification, SendLog
from ...sending.breaker import Breaker
from ..progress import ProgressLine, in_words

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def positive_int(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, more than 0, up to 3600")
    return value


class Command(BaseCommand):
    help = (
        "Sends what is due, messages of workers that died included, and exits. With --watch it "
        "stays and sends what becomes due. SIGTERM and Ctrl-C finish what is in flight and stop; "
        "a second one stops at once. Any number of these may run side by side."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--once", action="store_true", help="Send what is due and exit (default)."
        )
        mode.add_argument("--watch", action="store_true", help="Stay, and send what becomes due.")
        parser.add_argument(
            "--interval",
            type=seconds,
            default=1.0,
            help="With --watch: seconds between two looks (%(default)s). On PostgreSQL, new "
            "messages also wake the worker.",
        )
        parser.add_argument(
            "--max", type=positive_int, metavar="N", help="Handle at most N messages, then exit."
        )
        parser.add_argument("--account", help="The alias in ACCOUNTS; all where it is left out.")
        parser.add_argument(
            "--notification",
            type=positive_int,
            metavar="ID",
            help="This notification, and what is more urgent.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        quiet = options["verbosity"] == 0
        try:
            self._check(options)
            line = ProgressLine(self.stdout, total=0 if quiet else self._total(options))
            worker = Worker(
                account=options["account"],
                notification_id=options["notification"],
                limit=options["max"],
                progress=None if quiet else line,
            )
            with stop_on_signal(worker.stop), line:
                self._run(worker, options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        except DATABASE_TROUBLE as error:
            raise CommandError(f"The database does not answer. {error}".strip()) from error
        if not quiet:
            self._sum_up(worker)

    def _check(self, options: dict[str, Any]) -> None:
        """A wrong name is a mistake to report, not an account without messages."""
        for alias in self._aliases(options):
            settings.account(alias)
        pk = options["notification"]
        if pk is not None and not Notification.objects.filter(pk=pk).exists():
            raise CommandError(f"There is no notification {pk}.")

    def _aliases(self, options: dict[str, Any]) -> list[str]:
        return [options["account"]] if options["account"] else settings.aliases

    def _total(self, options: dict[str, Any]) -> int:
        """How many messages there are to send now; 0, nobody knows, for a worker that stays."""
        if options["watch"]:
            return 0
        due = SendLog.objects.waiting().filter(
            account__in=self._aliases(options), due_at__lte=timezone.now()
        )
        if options["notification"] is not None:
            due = due.filter(notification=options["notification"])
        return min(due.count(), options["max"] or sys.maxsize)

    def _run(self, worker: Worker, options: dict[str, Any]) -> None:
        if not options["watch"]:
            worker.drain()
            return
        if options["verbosity"] > 0:
            self.stdout.write("Waiting for messages. Stop with Ctrl-C.")
            self.stdout.flush()
        worker.watch(options["interval"])

    def _sum_up(self, worker: Worker) -> None:
        """What was done, and why what is left is left."""
        self.stdout.write(f"Done: {in_words(worker.report)}.")
        for alias in worker.aliases:
            self._why_not(alias, worker)
        waiting = SendLog.objects.waiting().filter(account__in=worker.aliases).count()
        if worker.stop.is_set():
            self.stdout.write(f"Stopped. {waiting} wait for the next run.")
        elif waiting:
            text = f"{waiting} still waiting; manage.py wechat_doctor says what for."
            self.stdout.write(text)

    def _why_not(self, alias: str, worker: Worker) -> None:
        """Why an account cannot send, or some servers cannot for it."""
        rest = Breaker(alias).rest()
        if rest is not None:
            why = sentences(rest_in_words(rest), str(rest.info.next_step))
            text = _("Account '%(account)s' is %(rest)s") % {"account": alias, "rest": why}
            self.stdout.write(self.style.WARNING(text))
        closed = closed_ways(alias)
        for closure in closed:
            why = sentences(closure_in_words(closure), closure_next_step(closure))
            text = _("Account '%(account)s': %(error)s") % {"account": alias, "error": why}
            self.stdout.write(self.style.WARNING(text))
        if rest is None and not closed and alias in worker.report.at_rest:
            text = f"Account {alias!r} cannot send. manage.py wechat_doctor says why."
            self.stdout.write(self.style.ERROR(text))


@contextmanager
def stop_on_signal(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` at the first SIGTERM or SIGINT; the second has its usual effect."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may have signal handlers
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        restore()
