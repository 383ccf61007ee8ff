"""One backend a process and account alias, made when first asked for."""

import threading
from typing import TypeAlias

from django.core.checks import ERROR
from django.utils.module_loading import import_string

from ..conf import AccountConfig, settings
from ..exceptions import ConfigurationError
from ..wechat.forks import PerProcess
from .base import BaseBackend

Fingerprint: TypeAlias = tuple[object, ...]


class Registry:
    """The backends of one process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backends: dict[str, tuple[Fingerprint, BaseBackend]] = {}

    def get(self, alias: str) -> BaseBackend:
        account = settings.account(alias)
        fingerprint = (account, settings.CACHE)
        with self._lock:
            known = self._backends.get(alias)
            if known and known[0] == fingerprint:
                return known[1]
            backend = _usable(build_backend(alias))
            self._backends[alias] = (fingerprint, backend)
        if known:
            known[1].close()
        return backend

    def close_all(self) -> None:
        with self._lock:
            backends = [backend for _, backend in self._backends.values()]
            self._backends.clear()
        for backend in backends:
            backend.close()


def build_backend(alias: str) -> BaseBackend:
    """A new backend for the account, unchecked; system checks look at it with ``check()``.

    Raises ``ConfigurationError``, naming the alias, where it cannot be made.
    """
    account = settings.account(alias)
    return _backend_class(account)(account)


def _backend_class(account: AccountConfig) -> type[BaseBackend]:
    where = f'WECHAT_NOTIFY account "{account.alias}"'
    try:
        backend_class = import_string(account.backend)
    except ImportError as error:
        raise ConfigurationError(
            f"{where}: the BACKEND {account.backend!r} cannot be imported ({error})."
        ) from error
    if not (isinstance(backend_class, type) and issubclass(backend_class, BaseBackend)):
        raise ConfigurationError(f"{where}: {account.backend!r} is not a subclass of BaseBackend.")
    return backend_class


def _usable(backend: BaseBackend) -> BaseBackend:
    errors = [str(message.msg) for message in backend.check() if message.level >= ERROR]
    if errors:
        raise ConfigurationError(" ".join(errors))
    return backend


_registry = PerProcess(Registry)


def get_backend(alias: str) -> BaseBackend:
    """The backend of this account, the same one for every caller until its settings change.

    Raises ``AccountNotConfigured`` for an unknown alias, and ``ConfigurationError``, naming the
    alias, where the backend cannot be made or its own check finds an error.
    """
    return _registry.get().get(alias)


def close_all() -> None:
    """Close every backend of this process; the next ``get_backend`` makes new ones."""
    _registry.get().close_all()
