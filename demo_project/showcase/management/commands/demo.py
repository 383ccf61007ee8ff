"""``manage.py demo``: the site, a fake WeChat, and one message on its way from a saved row."""

import copy
import secrets
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.test.utils import override_settings
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.translation import gettext as _

from demo_project.leave.models import Leave
from demo_project.showcase import cast, report
from demo_project.showcase.site import Site
from wechat_notify.conf import ACCOUNT_KEYS, DEFAULT_ACCOUNT
from wechat_notify.models import Notification, SendLog
from wechat_notify.sandbox.server import Sandbox

REMINDER_SECONDS = 20


class Command(BaseCommand):
    help = (
        "Migrate, start a fake WeChat and the site, hand in a leave request, show what became of "
        "its messages, and serve until Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once",
            action="store_true",
            help="stop after the first messages; exit code 1 if one did not arrive",
        )
        parser.add_argument(
            "--port", type=int, default=0, help="of the site; any free one where it is left out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            text = _("The demo creates logins that everybody knows: it needs DEBUG=on.")
            raise CommandError(text)
        with (
            Sandbox(
                users=cast.followers(),
                account_name=cast.HERE,
                callback_token=secrets.token_hex(16),
            ) as wechat,
            Site(options["port"]) as site,
            override_settings(WECHAT_NOTIFY=_towards(wechat, site)),
        ):
            try:
                leave = self._play(wechat, site)
                if not options["once"]:
                    self._addresses(leave, wechat, site)
                    self._remind(leave)
                    threading.Event().wait()  # until Ctrl-C
            except KeyboardInterrupt:
                self.stdout.write("")

    def _play(self, wechat: Sandbox, site: Site) -> Leave:
        self._step(_("Migrating the database"))
        call_command("migrate", verbosity=0)
        self._step(_("Creating users and their bindings"))
        cast.enter()
        self._step(_("Syncing templates with the fake WeChat"))
        cast.register_templates()
        self._step(_("Writing a rule as the admin’s page does"))
        cast.write_rule()
        # From here on the fake WeChat tells the site who scanned what, and what arrived.
        callback = reverse("wechat_notify:callback", args=[DEFAULT_ACCOUNT])
        wechat.account.callback_url = site.url + callback
        self._step(_("Saving a leave request; its post_save signal notifies those who approve"))
        leave = cast.hand_in_leave()
        notification = Notification.objects.get(key=f"leave-{leave.pk}")
        _wait_until(lambda: not _is_under_way(notification))
        self.stdout.write("\n" + report.send_log(notification) + "\n")
        _require_arrival(leave, wechat)
        return leave

    def _addresses(self, leave: Leave, wechat: Sandbox, site: Site) -> None:
        rows = [
            (_("Phones"), f"{wechat.url}/", _("what arrived in WeChat")),
            (_("Site"), f"{site.url}/", f"{cast.APPLICANT.username} / {cast.PASSWORD}"),
            (_("Request"), site.url + leave.get_absolute_url(), f"wang / {cast.PASSWORD}"),
            (_("Profile"), site.url + reverse("profile:profile"), f"zhao / {cast.PASSWORD}"),
            (_("Admin"), f"{site.url}/admin/", f"{cast.ADMIN} / {cast.PASSWORD}"),
        ]
        self.stdout.write("")
        widths = [max(map(report.width, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.stdout.write(self.style.SUCCESS(report.line(row, widths)))

    def _remind(self, leave: Leave) -> None:
        """A message for later: it leaves by itself, with no worker and no cron."""
        self.stdout.write("")
        reminder = cast.remind_approvers(leave, seconds=REMINDER_SECONDS)
        when = time_format(timezone.localtime(reminder.send_at), "H:i:s")
        self._step(_("A reminder is scheduled for %(time)s. Stop with Ctrl-C.") % {"time": when})
        if _wait_until(lambda: not _is_under_way(reminder)):
            self._step(_("The reminder has arrived, with no worker and no cron."))

    def _step(self, what: str) -> None:
        self.stdout.write(f"· {what}")
        self.stdout.flush()


def _towards(wechat: Sandbox, site: Site) -> dict[str, Any]:
    """The project's WECHAT_NOTIFY with the account at the fake WeChat, whatever .env says."""
    wanted: dict[str, Any] = copy.deepcopy(settings.WECHAT_NOTIFY)
    wanted["ACCOUNTS"][DEFAULT_ACCOUNT] = {
        "NAME": cast.HERE,
        "BACKEND": ACCOUNT_KEYS["BACKEND"],
        "APP_ID": wechat.app_id,
        "APP_SECRET": wechat.app_secret,
        "API_BASE": wechat.url,
        "AUTHORIZE_BASE": wechat.url,
        "CALLBACK_TOKEN": wechat.account.callback_token,
    }
    wanted.pop("DISPATCHER", None)  # the default one
    wanted["SITE_URL"] = site.url
    return wanted


def _is_under_way(notification: Notification) -> bool:
    """Whether a message has not been sent, or its receipt has not come."""
    under_way = (*SendLog.OPEN, SendLog.Status.SENT)
    return notification.logs.filter(status__in=under_way).exists()


def _wait_until(condition: Callable[[], bool]) -> bool:
    """Whether it has become true within a minute."""
    ends = time.monotonic() + 60
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.1)
    return True


def _require_arrival(leave: Leave, wechat: Sandbox) -> None:
    """Ask the fake WeChat itself: one card for each who should know, that opens the request."""
    expected = Counter(
        person.openid
        for person in cast.STAFF
        if person.openid and person.may_approve and person.school == leave.school.name
    )
    link = leave.get_absolute_url()
    arrived = Counter(message.openid for message in wechat.messages if message.url.endswith(link))
    if arrived != expected:
        text = _(
            "%(expected)d messages should have arrived, and %(arrived)d did: "
            "see the send log above."
        )
        counts = {"expected": sum(expected.values()), "arrived": sum(arrived.values())}
        raise CommandError(text % counts)
