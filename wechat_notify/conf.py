"""The ``WECHAT_NOTIFY`` setting. It is read at each access, so ``override_settings`` works.

    from wechat_notify.conf import settings

    settings.BATCH_SIZE
    settings.account("default").app_id

Each key is defined once, with its default and the function that reads it: in ``Settings``, or in
``AccountConfig`` if only an account has it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields
from typing import Any, Generic, TypeVar, overload

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from .exceptions import AccountNotConfigured, ConfigurationError, InvalidSettings
from .types import Secret

DEFAULT_ACCOUNT = "default"

# WeChat documents no limit. 100 requests a second were reported to work, and 400 at once were
# answered with "system busy" (docs/wechat-api.md, 2.3).
MAX_CONCURRENCY = 128

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rate:
    """``RATE``: at most ``count`` messages in each window of ``seconds``."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class DispatcherConfig:
    """``DISPATCHER``: the dotted path of a class, and its options."""

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)


# -- how values are read ----------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if _text(value) not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return read


def _whole(*, most: int | None = None) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or not _is_positive(value) or (most and value > most):
            raise ValueError("a positive whole number" + (f" of at most {most}" if most else ""))
        return value

    return read


def _limit(value: Any) -> int | None:
    if value is None:
        return None
    try:
        return _whole()(value)
    except ValueError as error:
        raise ValueError(f"None, or {error}") from None


def _timeout(value: Any) -> tuple[float, float]:
    pair = tuple(value) if isinstance(value, tuple | list) else ()
    if len(pair) != 2 or not all(map(_is_positive, pair)):
        raise ValueError("(connect, read) in seconds")
    return float(pair[0]), float(pair[1])


def _seconds(value: Any) -> float:
    if not _is_positive(value):
        raise ValueError("seconds, more than 0")
    return float(value)


def _lease(value: Any) -> float:
    timeouts = [account.timeout for account in settings.usable_accounts]
    longest = max(map(sum, timeouts or [settings.TIMEOUT]))
    if not _is_positive(value) or value <= longest:
        raise ValueError(
            f"more seconds than any account's connect and read TIMEOUT together ({longest:g})"
        )
    return float(value)


def _rate(value: Any) -> Rate | None:
    if value is None:
        return None
    count, _, unit = value.partition("/") if isinstance(value, str) else ("", "", "")
    windows = {"s": 1, "m": 60, "h": 3600}
    if not (count.isascii() and count.isdigit()) or int(count) < 1 or unit not in windows:
        raise ValueError('None, or such as "100/s", "3000/m" or "50000/h"')
    return Rate(int(count), windows[unit])


def _site(value: Any) -> str:
    if not isinstance(value, str) or (value and not value.startswith(("https://", "http://"))):
        raise ValueError("a string that starts with https:// or http://")
    return value.rstrip("/")


def _function(value: Any) -> Callable[[Any], str] | None:
    if value == "":
        return None
    try:
        function = import_string(_text(value))
    except ImportError as error:
        raise ValueError(f"the dotted path of a function ({error})") from error
    if not callable(function):
        raise ValueError("the dotted path of a function")
    return function  # type: ignore[no-any-return]


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _base(value: Any) -> str:
    return _text(value).rstrip("/")


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a dict")
    return value


def _dispatcher(value: Any) -> DispatcherConfig:
    match value:
        case str():
            return DispatcherConfig(value)
        case {"BACKEND": str(path), **rest} if rest.keys() <= {"OPTIONS"}:
            options = rest.get("OPTIONS", {})
            if isinstance(options, Mapping):
                return DispatcherConfig(path, options)
    raise ValueError('a dotted path, or {"BACKEND": "dotted.path", "OPTIONS": {…}}')


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


# -- the keys ---------------------------------------------------------------------------------


class Key(Generic[T]):
    """One key of ``WECHAT_NOTIFY``, as an attribute of ``Settings``.

    ``read`` returns the typed value, or raises ``ValueError`` with what the value must be.
    """

    name: str

    def __init__(self, default: Any, read: Callable[[Any], T]) -> None:
        self.default = default
        self.read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Key[T]": ...
    @overload
    def __get__(self, instance: "Settings", owner: type) -> T: ...
    def __get__(self, instance: "Settings | None", owner: type) -> "Key[T] | T":
        if instance is None:
            return self
        value = instance.raw().get(self.name, self.default)
        try:
            return self.read(value)
        except ValueError as error:
            raise InvalidSettings(
                f'WECHAT_NOTIFY["{self.name}"] must be {error}, not {value!r}.'
            ) from None


class Settings:
    """Typed view of ``WECHAT_NOTIFY``. A wrong value raises ``InvalidSettings`` when read."""

    ACCOUNTS = Key({}, _mapping)
    CACHE = Key("default", _text)
    DISPATCHER = Key("wechat_notify.dispatchers.background.BackgroundDispatcher", _dispatcher)
    CONCURRENCY = Key(32, _whole(most=MAX_CONCURRENCY))
    BATCH_SIZE = Key(500, _whole(most=10_000))
    TIMEOUT = Key((5, 10), _timeout)
    """(connect, read) in seconds."""
    MAX_ATTEMPTS = Key(5, _whole())
    LEASE = Key(60, _lease)
    """Seconds; longer than any call can take."""
    RATE = Key(None, _rate)
    GIVE_UP_AFTER = Key(259_200, _seconds)
    """Seconds after which a message that an outage delays is given up."""
    APPROVAL_ABOVE = Key(None, _limit)
    """Recipients above which a second person approves what is asked for in the admin; None: never
    needed."""
    INVALID_DATA = Key("raise", _choice("raise", "skip", "trim"))
    BINDING_CONFLICT = Key("refuse", _choice("refuse", "move"))
    """Whether an openid that is bound to one user may be moved to another."""
    RETENTION_DAYS = Key(180, _whole())
    SITE_URL = Key("", _site)
    """Scheme and host put before a relative link, such as ``https://school.example``."""
    USER_NAME = Key("", _function)
    """The site's function that returns a user's name; None: the app's own rule."""
    TRIGGERS = Key(True, _switch)
    """Whether triggers fire: signals, reminders and rules."""

    def raw(self) -> Mapping[str, Any]:
        """The project's dict, unchecked; empty if the setting is missing."""
        value = getattr(django_settings, "WECHAT_NOTIFY", {})
        if not isinstance(value, Mapping):
            raise InvalidSettings("WECHAT_NOTIFY must be a dict.")
        return value

    def require_time_zones(self) -> None:
        """Raise ``ConfigurationError`` if Django's ``USE_TZ`` is False."""
        if not django_settings.USE_TZ:
            raise ConfigurationError(
                "USE_TZ is False. django-wechat-notify needs USE_TZ = True: how long a message may "
                "be repeated, and when it is due, must not depend on a clock that is put back."
            )

    @property
    def aliases(self) -> list[str]:
        """Every configured account alias, in the order written."""
        return list(self.ACCOUNTS)

    @property
    def usable_accounts(self) -> list["AccountConfig"]:
        """The accounts without those whose settings are wrong, which raise when they are used."""
        accounts = []
        for alias in self.aliases:
            with suppress(InvalidSettings):
                accounts.append(self.account(alias))
        return accounts

    def account(self, alias: str) -> "AccountConfig":
        """The account of this alias. Raises ``AccountNotConfigured`` if there is none."""
        # No local variable holds the accounts: a traceback shows local variables.
        if alias not in self.ACCOUNTS:
            known = ", ".join(repr(name) for name in self.ACCOUNTS) or "none"
            raise AccountNotConfigured(
                f'No account {alias!r} in WECHAT_NOTIFY["ACCOUNTS"] (configured: {known}).'
            )
        return _account(alias, _masked(self.ACCOUNTS[alias]))


def _masked(account: Any) -> Any:
    """The account with its secrets as ``Secret``, which a traceback does not show."""
    if not isinstance(account, Mapping):
        return account
    secret = [one.name.upper() for one in _ACCOUNT_FIELDS if not one.repr]
    secrets = {key: Secret(account[key]) for key in secret if isinstance(account.get(key), str)}
    return {**account, **secrets}


def _own(default: Any, read: Callable[[Any], Any], *, secret: bool = False) -> Any:
    """A field of ``AccountConfig`` whose key, the name in capitals, only accounts have."""
    return field(repr=not secret, metadata={"key": Key(default, read)})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """One entry of ``ACCOUNTS``. Its repr shows no secret.

    ``name`` is shown to people; by default it is the alias. Keys that are also allowed outside
    ``ACCOUNTS`` have their default there.
    """

    alias: str
    name: str = _own("", _text)
    backend: str = _own("wechat_notify.backends.wechat.WeChatBackend", _text)
    app_id: str = _own("", _text)
    app_secret: str = _own("", _text, secret=True)
    api_base: str = _own("https://api.weixin.qq.com", _base)
    authorize_base: str = _own("https://open.weixin.qq.com", _base)
    token_mode: str = _own("stable", _choice("stable", "classic"))
    callback_token: str = _own("", _text, secret=True)
    encoding_aes_key: str = _own("", _text, secret=True)
    previous_encoding_aes_key: str = _own("", _text, secret=True)
    concurrency: int = field(metadata={"key": Settings.CONCURRENCY})
    rate: Rate | None = field(metadata={"key": Settings.RATE})
    timeout: tuple[float, float] = field(metadata={"key": Settings.TIMEOUT})
    options: Mapping[str, Any] = _own({}, _mapping, secret=True)


_ACCOUNT_FIELDS = [one for one in fields(AccountConfig) if one.metadata]

KEYS: dict[str, Any] = {
    name: key.default for name, key in vars(Settings).items() if isinstance(key, Key)
}
"""Every key of ``WECHAT_NOTIFY`` with its default, in order."""

ACCOUNT_KEYS: dict[str, Any] = {
    one.name.upper(): one.metadata["key"].default for one in _ACCOUNT_FIELDS
}
"""Every key of an account with its default, in order."""


def _account(alias: str, value: Any) -> AccountConfig:
    if not isinstance(value, Mapping):
        raise InvalidSettings(f'WECHAT_NOTIFY["ACCOUNTS"]["{alias}"] must be a dict.')
    read = {one.name: _account_value(alias, value, one) for one in _ACCOUNT_FIELDS}
    return AccountConfig(alias=alias, **{**read, "name": read["name"] or alias})


def _account_value(alias: str, account: Mapping[str, Any], one: Field[Any]) -> Any:
    name, key = one.name.upper(), one.metadata["key"]
    if name in account:
        try:
            return key.read(account[name])
        except ValueError as error:
            # The value is not shown: it may be a secret under the wrong key.
            raise InvalidSettings(
                f'WECHAT_NOTIFY account "{alias}": {name} must be {error}.'
            ) from None
    return getattr(settings, name) if name in KEYS else key.default


settings = Settings()
