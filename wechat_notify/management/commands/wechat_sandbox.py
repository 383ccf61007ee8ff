"""``manage.py wechat_sandbox``: a fake WeChat on this machine, until Ctrl-C."""

import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from wechat_notify.conf import DEFAULT_ACCOUNT, AccountConfig, settings
from wechat_notify.exceptions import AccountNotConfigured
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.sealing import MODES, PLAIN, SAFE
from wechat_notify.sandbox.server import Sandbox

DEFAULT_PORT = 8899


class Command(BaseCommand):
    help = (
        "Run a fake WeChat: the API, and a phone page that shows what arrives. "
        "It plays the account's own app id and secret, and needs no database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (%(default)s)"
        )
        parser.add_argument(
            "--port",
            type=int,
            default=DEFAULT_PORT,
            help="port to listen on (%(default)s); 0 takes a free one",
        )
        parser.add_argument(
            "--account",
            default=DEFAULT_ACCOUNT,
            help="alias of the account to play (%(default)s); where it is not configured, "
            "an invented app id and secret are played and printed",
        )
        parser.add_argument(
            "--account-name", default=samples.ACCOUNT_NAME, help="name on the phone (%(default)s)"
        )
        parser.add_argument(
            "--callback-url", default="", help="where receipts and events are posted to (nowhere)"
        )
        parser.add_argument(
            "--callback-mode",
            choices=MODES,
            help="how they are posted (safe where the account has an ENCODING_AES_KEY, else plain)",
        )
        parser.add_argument(
            "--latency", type=float, default=0.0, help="seconds every API call takes (%(default)s)"
        )
        parser.add_argument(
            "--any-openid",
            action="store_true",
            help="take every openid for a follower's instead of refusing unknown ones",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        account = _account(options["account"])
        aes_key = account.encoding_aes_key if account else ""
        mode = options["callback_mode"] or (SAFE if aes_key else PLAIN)
        if mode != PLAIN and not aes_key:
            raise CommandError(_("Encrypted callbacks need the account's ENCODING_AES_KEY."))
        sandbox = Sandbox(
            app_id=account.app_id if account else samples.APP_ID,
            app_secret=account.app_secret if account else samples.APP_SECRET,
            callback_token=account.callback_token if account else "",
            callback_mode=mode,
            encoding_aes_key=aes_key,
            host=options["host"],
            port=options["port"],
            account_name=options["account_name"],
            callback_url=options["callback_url"],
            latency=options["latency"],
            any_openid=options["any_openid"],
        )
        try:
            sandbox.start()
        except (OSError, OverflowError) as error:
            where = f"{options['host']}:{options['port']}"
            raise CommandError(
                _("Cannot listen on %(where)s: %(error)s. Try another --port.")
                % {"where": where, "error": error}
            ) from error
        try:
            self._introduce(sandbox)
            threading.Event().wait()
        except KeyboardInterrupt:
            self.stdout.write("")
        finally:
            sandbox.stop()

    def _introduce(self, sandbox: Sandbox) -> None:
        self.stdout.write(_("Phone page:  %(url)s/") % {"url": sandbox.url})
        self.stdout.write(_('API_BASE:    "%(url)s"') % {"url": sandbox.url})
        self.stdout.write(_('APP_ID:      "%(app_id)s"') % {"app_id": sandbox.app_id})
        if sandbox.app_secret == samples.APP_SECRET:
            # An invented secret is no secret; one from the settings is not shown.
            self.stdout.write(f'APP_SECRET:  "{sandbox.app_secret}"')
        self.stdout.write(_("Stop with Ctrl-C."))
        self.stdout.flush()


def _account(alias: str) -> AccountConfig | None:
    """The project's account; None where it has none of this alias, or none with a secret."""
    try:
        account = settings.account(alias)
    except AccountNotConfigured:
        return None
    return account if account.app_id and account.app_secret else None
