"""The ``WECHAT_NOTIFY`` setting, read when asked and never cached, so ``override_settings`` works.

from wechat_notify.conf import settings
settings.CONCURRENCY
settings.account("default").app_id
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings as django_settings

from .exceptions import AccountNotConfigured, ConfigurationError, InvalidSettings

DEFAULT_ACCOUNT = "default"
DEFAULT_BACKEND = "wechat_notify.backends.wechat.WeChatBackend"
INVALID_DATA_CHOICES = ("raise", "skip", "trim")
BINDING_CONFLICT_CHOICES = ("refuse", "move")
TOKEN_MODES = ("stable", "classic")

ACCOUNT_KEYS = {
    "NAME": "",
    "BACKEND": DEFAULT_BACKEND,
    "APP_ID": "",
    "APP_SECRET": "",
    "API_BASE": "https://api.weixin.qq.com",
    "AUTHORIZE_BASE": "https://open.weixin.qq.com",
    "TOKEN_MODE": "stable",
    "CALLBACK_TOKEN": "",
    "ENCODING_AES_KEY": "",
    "PREVIOUS_ENCODING_AES_KEY": "",
    "OPTIONS": {},
}

KEYS: dict[str, Any] = {
    "ACCOUNTS": {},
    "CACHE": "default",
    "DISPATCHER": "wechat_notify.delivery.dispatch.InlineDispatcher",
    "INLINE_LIMIT": 500,
    "CONCURRENCY": 32,
    "BATCH_SIZE": 500,
    "TIMEOUT": (5, 10),
    "MAX_ATTEMPTS": 5,
    "LEASE": 60,
    "RATE": None,
    "INVALID_DATA": "raise",
    "BINDING_CONFLICT": "refuse",
    "RETENTION_DAYS": 180,
    "SITE_URL": "",
}

# WeChat names no ceiling; about 100 requests a second were reported fine and 400 at once were
# answered with "system busy" (WECHAT.md 2.3), so the width has a hard stop.
MAX_CONCURRENCY = 128


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One entry of ``ACCOUNTS``. Its repr shows no secret.

    ``name`` is what people call the account; its alias where the settings do not say.
    """

    alias: str
    name: str
    backend: str
    app_id: str
    app_secret: str = field(repr=False)
    api_base: str
    authorize_base: str
    token_mode: str
    callback_token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)
    previous_encoding_aes_key: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """``RATE``: at most ``count`` messages in each window of ``seconds``."""

    count: int
    seconds: int


class Settings:
    """Typed view of ``WECHAT_NOTIFY``. A wrong value raises ``InvalidSettings`` when read."""

    def raw(self) -> Mapping[str, Any]:
        """The project's own dict, unchecked; empty where the setting is absent."""
        value = getattr(django_settings, "WECHAT_NOTIFY", {})
        if not isinstance(value, Mapping):
            raise InvalidSettings("WECHAT_NOTIFY must be a dict.")
        return value

    def require_time_zones(self) -> None:
        """Raise ``ConfigurationError`` where Django's own ``USE_TZ`` is off."""
        if not django_settings.USE_TZ:
            raise ConfigurationError(
                "USE_TZ is False. django-wechat-notify needs USE_TZ = True: how long a message may "
                "be repeated, and when it is due, must not depend on a clock that is put back."
            )

    def _get(self, name: str) -> Any:
        return self.raw().get(name, KEYS[name])

    def _positive_int(self, name: str, *, most: int | None = None) -> int:
        value = self._get(name)
        if not _is_int(value) or value < 1 or (most is not None and value > most):
            limit = f" of at most {most}" if most is not None else ""
            raise InvalidSettings(
                f'WECHAT_NOTIFY["{name}"] must be a positive whole number{limit}, not {value!r}.'
            )
        return int(value)

    def _text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise InvalidSettings(f'WECHAT_NOTIFY["{name}"] must be a string, not {value!r}.')
        return value

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self._text(name)
        if value not in choices:
            raise InvalidSettings(
                f'WECHAT_NOTIFY["{name}"] must be one of {", ".join(choices)}, not {value!r}.'
            )
        return value

    @property
    def CACHE(self) -> str:
        return self._text("CACHE")

    @property
    def DISPATCHER(self) -> str:
        return self._text("DISPATCHER")

    @property
    def INLINE_LIMIT(self) -> int | None:
        return None if self._get("INLINE_LIMIT") is None else self._positive_int("INLINE_LIMIT")

    @property
    def CONCURRENCY(self) -> int:
        return self._positive_int("CONCURRENCY", most=MAX_CONCURRENCY)

    @property
    def BATCH_SIZE(self) -> int:
        return self._positive_int("BATCH_SIZE", most=10_000)

    @property
    def TIMEOUT(self) -> tuple[float, float]:
        """(connect, read) in seconds."""
        value = self._get("TIMEOUT")
        try:
            connect, read = value
        except (TypeError, ValueError):
            connect = read = None
        if not (_is_positive(connect) and _is_positive(read)):
            raise InvalidSettings(
                f'WECHAT_NOTIFY["TIMEOUT"] must be (connect, read) in seconds, not {value!r}.'
            )
        return float(connect), float(read)

    @property
    def MAX_ATTEMPTS(self) -> int:
        return self._positive_int("MAX_ATTEMPTS")

    @property
    def LEASE(self) -> float:
        """Seconds; longer than both timeouts together, or no row could be sent in time."""
        value = self._get("LEASE")
        if not _is_positive(value) or value <= sum(self.TIMEOUT):
            raise InvalidSettings(
                f'WECHAT_NOTIFY["LEASE"] must be seconds longer than the connect and read TIMEOUT '
                f"together ({sum(self.TIMEOUT):g}), not {value!r}."
            )
        return float(value)

    @property
    def RATE(self) -> Rate | None:
        value = self._get("RATE")
        return None if value is None else _parse_rate(value)

    @property
    def INVALID_DATA(self) -> str:
        return self._choice("INVALID_DATA", INVALID_DATA_CHOICES)

    @property
    def BINDING_CONFLICT(self) -> str:
        """What becomes of an openid that is somebody else's when its person binds it anew."""
        return self._choice("BINDING_CONFLICT", BINDING_CONFLICT_CHOICES)

    @property
    def RETENTION_DAYS(self) -> int:
        return self._positive_int("RETENTION_DAYS")

    @property
    def SITE_URL(self) -> str:
        """Scheme and host put before a relative link, such as ``https://school.example``."""
        value = self._text("SITE_URL")
        if value and not value.startswith(("https://", "http://")):
            raise InvalidSettings(
                f'WECHAT_NOTIFY["SITE_URL"] must start with https:// or http://, not {value!r}.'
            )
        return value.rstrip("/")

    @property
    def aliases(self) -> list[str]:
        """Every configured account alias, in the order written."""
        return list(self._accounts())

    def _accounts(self) -> Mapping[str, Any]:
        accounts = self._get("ACCOUNTS")
        if not isinstance(accounts, Mapping):
            raise InvalidSettings('WECHAT_NOTIFY["ACCOUNTS"] must be a dict of alias to account.')
        return accounts

    def account(self, alias: str) -> AccountConfig:
        """The account of this alias, or ``AccountNotConfigured`` naming those there are."""
        accounts = self._accounts()
        if alias not in accounts:
            known = ", ".join(repr(name) for name in accounts) or "none"
            raise AccountNotConfigured(
                f'No account {alias!r} in WECHAT_NOTIFY["ACCOUNTS"] (configured: {known}).'
            )
        return _account(alias, accounts[alias])


def _account(alias: str, value: Any) -> AccountConfig:
    if not isinstance(value, Mapping):
        raise InvalidSettings(f'WECHAT_NOTIFY["ACCOUNTS"]["{alias}"] must be a dict.')
    merged = {**ACCOUNT_KEYS, **value}
    options = merged["OPTIONS"]
    if not isinstance(options, Mapping):
        raise InvalidSettings(f'WECHAT_NOTIFY account "{alias}": OPTIONS must be a dict.')
    for key in ACCOUNT_KEYS.keys() - {"OPTIONS"}:
        if not isinstance(merged[key], str):
            # The value itself is not shown: it may be a secret.
            raise InvalidSettings(f'WECHAT_NOTIFY account "{alias}": {key} must be a string.')
    if merged["TOKEN_MODE"] not in TOKEN_MODES:
        raise InvalidSettings(
            f'WECHAT_NOTIFY account "{alias}": TOKEN_MODE must be "stable" or "classic", '
            f"not {merged['TOKEN_MODE']!r}."
        )
    return AccountConfig(
        alias=alias,
        name=merged["NAME"] or alias,
        backend=merged["BACKEND"],
        app_id=merged["APP_ID"],
        app_secret=merged["APP_SECRET"],
        api_base=merged["API_BASE"].rstrip("/"),
        authorize_base=merged["AUTHORIZE_BASE"].rstrip("/"),
        token_mode=merged["TOKEN_MODE"],
        callback_token=merged["CALLBACK_TOKEN"],
        encoding_aes_key=merged["ENCODING_AES_KEY"],
        previous_encoding_aes_key=merged["PREVIOUS_ENCODING_AES_KEY"],
        options=options,
    )


def _parse_rate(value: Any) -> Rate:
    count, _, unit = value.partition("/") if isinstance(value, str) else ("", "", "")
    windows = {"s": 1, "m": 60, "h": 3600}
    if not (count.isascii() and count.isdigit()) or int(count) < 1 or unit not in windows:
        raise InvalidSettings(
            f'WECHAT_NOTIFY["RATE"] must look like "100/s", "3000/m" or "50000/h", not {value!r}.'
        )
    return Rate(int(count), windows[unit])


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


settings = Settings()
