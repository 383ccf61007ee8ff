"""Codes of web authorisation: whose they are, and that each works once (docs/wechat-api.md, 6)."""

import secrets
import threading
from dataclasses import dataclass

from .clock import Clock

LIFETIME = 300

INVALID = 40029
USED = 40163
EXPIRED = 42003


@dataclass(slots=True)
class Login:
    """One code. It is good for one exchange in five minutes."""

    openid: str
    scope: str
    expires_at: float
    used: bool = False


class Logins:
    """Gives out codes and takes them back. Safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: dict[str, Login] = {}
        self._tokens: dict[str, Login] = {}

    def issue(self, openid: str, scope: str) -> str:
        """A new code for this person."""
        code = secrets.token_hex(16)
        with self._lock:
            self._codes[code] = Login(openid, scope, self._clock.time() + LIFETIME)
        return code

    def redeem(self, code: str) -> Login | int:
        """Whom a code stands for, or the errcode of the refusal."""
        with self._lock:
            login = self._codes.get(code)
            if login is None:
                return INVALID
            if login.used:
                return USED
            if login.expires_at <= self._clock.time():
                return EXPIRED
            login.used = True
            return login

    def open_session(self, login: Login) -> str:
        """A web access token, which has nothing to do with the account's own."""
        token = secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[token] = login
        return token

    def session(self, token: str) -> Login | None:
        """Whom a web access token stands for."""
        return self._tokens.get(token)
