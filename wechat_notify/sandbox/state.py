"""Everything the fake WeChat knows, in one place that its endpoints share."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from . import samples
from .callback_sender import Callbacks
from .clock import Clock
from .faults import SEND_PATH, FaultScript
from .logins import Logins
from .mailbox import Mailbox
from .records import Account, QRCode, Template, User
from .refusals import Refusal
from .token_issuer import GRACE, LIFETIME, Tokens
from .traffic import Traffic

USER_SETTINGS = {"nickname", "subscribed", "unionid", "scene", "refuses", "receipt", "snapshot"}


class State:
    """The account, its people, templates, messages, tokens, faults and counters."""

    def __init__(
        self,
        account: Account,
        *,
        templates: Iterable[Template | Mapping[str, Any]] | None = None,
        users: Iterable[User | str] | None = None,
        token_lifetime: float = LIFETIME,
        token_grace: float = GRACE,
        keep: int | None = None,
    ) -> None:
        self.account = account
        self.clock = Clock()
        self.faults = FaultScript()
        self.tokens = Tokens(self.clock, lifetime=token_lifetime, grace=token_grace)
        self.mailbox = Mailbox(self.clock, keep=keep)
        self.traffic = Traffic(self.clock)
        self.callbacks = Callbacks(account, self.clock)
        self.logins = Logins(self.clock)
        self._lock = threading.Lock()
        self._templates: dict[str, Template] = {}
        self._users: dict[str, User] = {}
        self._codes: dict[str, QRCode] = {}
        self._scanned: dict[str, str] = {}
        self.version = 0
        for template in samples.templates() if templates is None else templates:
            self.add_template(template)
        for user in samples.users() if users is None else users:
            self.follow(user)

    # Templates

    def add_template(self, template: Template | Mapping[str, Any]) -> Template:
        """Register a template, or replace the one of the same id; a mapping has its fields."""
        if isinstance(template, Mapping):
            template = Template(**template)
        with self._lock:
            self._templates[template.template_id] = template
        return template

    def count_use(self, template: Template) -> None:
        """One message more with a template that is banned after a number of them. Or a refusal."""
        if template.ban_after is None:
            return
        with self._lock:
            if template.ban_after <= 0:
                template.banned = True
                raise Refusal(43116)
            template.ban_after -= 1

    def remove_template(self, template_id: str) -> bool:
        """Delete a template; False where there was none."""
        with self._lock:
            return self._templates.pop(template_id, None) is not None

    def template(self, template_id: str) -> Template | None:
        return self._templates.get(template_id)

    def templates(self) -> list[Template]:
        with self._lock:
            return list(self._templates.values())

    # People

    def follow(self, user: User | str, **settings: Any) -> User:
        """Make somebody follow the account, new or known; ``settings`` are fields of User.

        A User is taken as it is, subscribed or not.
        """
        if isinstance(user, User):
            return self._put(user, {})
        return self._put(self._users.get(user) or User(user), {"subscribed": True, **settings})

    def unfollow(self, openid: str) -> User:
        """Make somebody stop following; the openid stays the same after a return."""
        return self._put(self._users.get(openid) or User(openid), {"subscribed": False})

    def change_user(self, openid: str, **settings: Any) -> User:
        """Set some of a person's fields. ValueError where there is no such field."""
        unknown = settings.keys() - USER_SETTINGS
        if unknown:
            raise ValueError(f"A user has no {', '.join(sorted(unknown))}.")
        return self._put(self._users.get(openid) or User(openid), settings)

    def _put(self, user: User, settings: Mapping[str, Any]) -> User:
        changed = replace(user, **settings)
        if changed.subscribed and not changed.subscribed_at:
            changed.subscribed_at = int(self.clock.time())
        with self._lock:
            self._users[changed.openid] = changed
            self.version += 1
        return changed

    def user(self, openid: str) -> User | None:
        """The person of an openid, or None; with ``any_openid`` there is always one."""
        user = self._users.get(openid)
        if user is None and openid and self.account.any_openid:
            return User(openid)
        return user

    def users(self) -> list[User]:
        with self._lock:
            return list(self._users.values())

    # QR codes

    def add_code(self, code: QRCode) -> None:
        with self._lock:
            self._codes[code.ticket] = code
            self.version += 1

    def code(self, ticket: str) -> QRCode | None:
        """The QR code of a ticket, or None where it is unknown or has expired."""
        code = self._codes.get(ticket)
        if code is None or (code.expires_at is not None and code.expires_at <= self.clock.time()):
            return None
        return code

    def codes(self) -> list[QRCode]:
        """The codes that can be scanned now, the newest first."""
        with self._lock:
            tickets = list(self._codes)
        return [code for ticket in reversed(tickets) if (code := self.code(ticket)) is not None]

    def note_scan(self, code: QRCode, openid: str) -> None:
        """Remember who has scanned this code last."""
        with self._lock:
            self._scanned[code.ticket] = openid
            self.version += 1

    def scanned_by(self, code: QRCode) -> str:
        """The openid of whoever has scanned this code last; "" where nobody has."""
        return self._scanned.get(code.ticket, "")

    @property
    def daily_quota(self) -> int:
        """Template messages a day."""
        return self.traffic.limits[SEND_PATH]

    def set_daily_quota(self, messages: int) -> None:
        """Let so many template messages through a day; what was sent today counts."""
        self.traffic.limits[SEND_PATH] = messages

    def clear(self) -> None:
        """Forget messages, faults and counters; people, templates and tokens stay."""
        self.faults.clear()
        self.mailbox.clear()
        self.traffic.clear()
        self.callbacks.clear()
        self.version += 1

    def summary(self) -> dict[str, Any]:
        """The figures of the control API."""
        traffic = self.traffic
        return {
            "messages": self.mailbox.total,
            "people_reached": len(self.mailbox.counts),
            "duplicates": self.mailbox.duplicates,
            "calls": dict(traffic.calls),
            "token_fetches": traffic.token_fetches,
            "connections": traffic.connections,
            "in_flight": traffic.in_flight,
            "max_in_flight": traffic.max_in_flight,
            "receipts": self.callbacks.delivered,
            "receipts_failed": self.callbacks.failed,
            "users": len(self._users),
            "templates": len(self._templates),
            "time": self.clock.time(),
        }
