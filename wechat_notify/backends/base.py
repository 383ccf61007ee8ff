"""The contract of a backend, which sends the messages of one account."""

from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn

from django.core.checks import CheckMessage

from ..conf import AccountConfig
from ..exceptions import ConfigurationError, InvalidSettings
from ..types import (
    Authorization,
    Follower,
    FollowerPage,
    QRCode,
    Quota,
    RemoteTemplate,
    SendResult,
    TemplateMessage,
)


class BaseBackend:
    """Sends for one account. Subclass it, define ``send``, and name it in ``BACKEND``.

    ::

        class MyBackend(BaseBackend):
            option_names = frozenset({"colour"})

            def send(self, message):
                ...
                return SendResult(Outcome.ACCEPTED, 0, "ok", msgid=1)

    **Life.** One instance a process and account, made when first needed and again when the
    account's settings change or the process forks; ``close`` ends it. ``__init__`` must not
    touch the network. It raises ``ConfigurationError`` where it cannot be made at all; what
    else is wrong with the settings ``check`` says, in ``manage.py check`` and before the first
    message: where it finds an error, nothing is sent.

    **Threads.** ``send`` is called from as many threads at once as ``CONCURRENCY`` says. It must
    not use the ORM, and it must return for every message: what happens to one recipient is a
    ``SendResult``, never an exception. An exception means that the backend itself is broken.

    **Outcomes.** ACCEPTED only if the other side said so. NOT_SENT only if the message cannot have
    left; UNKNOWN if it may have. With an ``errcode`` of WeChat's the delivery policy treats the
    row as ``wechat/errors.py`` says, so a backend that has none leaves it None.

    **Repeats.** ``message.client_msg_id`` is the same for each attempt at one message. Where the
    other side delivers only one of several messages with the same openid and ``client_msg_id``
    that come within ten minutes, pass it on and set ``supports_repeats``. Only a backend that
    says so is called again for a message that may have left. Without it an UNKNOWN message
    becomes ``uncertain`` at once, and a person decides.

    **Time.** ``send`` must return within both times of ``TIMEOUT`` together, however slowly
    the other side answers.

    **Options.** The account's ``OPTIONS`` are in ``self.options``; one that ``option_names`` does
    not list is refused with the account's alias in the complaint.

    **Beyond sending.** ``supports_templates``, ``supports_users``, ``supports_qrcodes``,
    ``supports_oauth`` and ``supports_diagnosis`` say which of the other methods work. The rest
    raise ``ConfigurationError``. Those that work raise ``WeChatError`` or ``TransportError``.
    """

    option_names: ClassVar[frozenset[str]] = frozenset()

    supports_repeats: ClassVar[bool] = False
    """A repeat with the same ``client_msg_id`` does no harm: a message that may have left is
    repeated for nine minutes. Without it such a message becomes ``uncertain`` after one call."""
    supports_probe: ClassVar[bool] = False
    """probe"""
    supports_templates: ClassVar[bool] = False
    """get_templates, get_subscription_templates, add_template, delete_template"""
    supports_users: ClassVar[bool] = False
    """get_user, get_users, get_followers"""
    supports_qrcodes: ClassVar[bool] = False
    """create_qrcode"""
    supports_oauth: ClassVar[bool] = False
    """exchange_code"""
    supports_diagnosis: ClassVar[bool] = False
    """get_quota, get_request, get_blocked_openids, tls_trouble"""

    def __init__(self, account: AccountConfig) -> None:
        self.account = account
        self.options = account.options
        unknown = sorted(set(account.options) - self.option_names)
        if unknown:
            known = ", ".join(sorted(self.option_names)) or "none"
            raise InvalidSettings(
                f'WECHAT_NOTIFY account "{account.alias}": {type(self).__name__} has no option '
                f"{', '.join(map(repr, unknown))} (it knows: {known})."
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.account.alias!r}>"

    def send(self, message: TemplateMessage) -> SendResult:
        """Send one message to one person, now, and say what is known of it."""
        raise NotImplementedError(f"{type(self).__name__} must define send().")

    def check(self) -> list[CheckMessage]:
        """What is wrong with the account's settings, as Django's system checks say it."""
        return []

    def close(self) -> None:
        """Let go of connections and the like. The backend is not used afterwards."""

    def probe(self) -> SendResult:
        """Ask the other side for an answer, without a message: does anything get through?

        ACCEPTED or REFUSED with an errcode: it answers. Asked before messages are tried again
        after a time without any answer.
        """
        self._unsupported("be probed without a message")

    def clock_skew(self) -> float | None:
        """Seconds that the platform's clock is ahead of this machine's; None: not known."""
        return None

    def get_templates(self) -> list[RemoteTemplate]:
        """Every template that the account has."""
        self._unsupported("list templates")

    def get_subscription_templates(self) -> list[RemoteTemplate]:
        """Every template of subscription notices, whose ids no template message can have."""
        self._unsupported("list templates of subscription notices")

    def add_template(self, short_id: str, keywords: Iterable[str] = ()) -> str:
        """Add a template of the platform's library to the account; its template id comes back."""
        self._unsupported("add templates")

    def delete_template(self, template_id: str) -> None:
        """Delete a template from the account on the platform."""
        self._unsupported("delete templates")

    def get_user(self, openid: str) -> Follower:
        """Whether one person follows the account."""
        self._unsupported("look up people")

    def get_users(self, openids: Iterable[str]) -> list[Follower]:
        """The same for up to 100 people."""
        self._unsupported("look up people")

    def get_followers(self, next_openid: str = "") -> FollowerPage:
        """One page of the openids of those who follow, after ``next_openid``, or the first one."""
        self._unsupported("list followers")

    def create_qrcode(self, scene: str, expire_seconds: int) -> QRCode:
        """A temporary QR code; whoever scans it reaches the account with ``scene``."""
        self._unsupported("make QR codes")

    def exchange_code(self, code: str) -> Authorization:
        """Who came back from web authorisation with ``code``. It is used up by this."""
        self._unsupported("tell who authorised")

    def get_quota(self) -> Quota:
        """Today's quota of template messages."""
        self._unsupported("look up its quota")

    def get_request(self, rid: str) -> dict[str, Any]:
        """What the platform recorded of one request, by the rid of a refusal."""
        self._unsupported("look up requests")

    def get_blocked_openids(self, template_id: str) -> set[str]:
        """Whose messages of this template the platform's review has blocked."""
        self._unsupported("tell which messages were blocked")

    def tls_trouble(self) -> str | None:
        """Why no secure connection can be made; "" if it can, None if none is used."""
        return None

    def _unsupported(self, what: str) -> NoReturn:
        raise ConfigurationError(
            f'The backend {type(self).__name__} of WECHAT_NOTIFY account "{self.account.alias}" '
            f"cannot {what}."
        )
