"""System checks of the callback settings: E030 to E039, W030 to W039."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from ..conf import AccountConfig, settings
from ..exceptions import InvalidSettings


def _module(name: str) -> Any:
    """Loaded only for a site that receives callbacks: it loads cryptography or an XML parser."""
    return import_module(f"wechat_notify.wechat.{name}")


def check_callbacks(alias: str) -> list[CheckMessage]:
    """What is wrong with one account's CALLBACK_TOKEN and EncodingAESKeys."""
    try:
        account = settings.account(alias)
    except InvalidSettings:
        return []  # said of the account as a whole
    where = f'WECHAT_NOTIFY account "{alias}"'
    return [*_extra(account, where), *_keys(account, where)]


def _extra(account: AccountConfig, where: str) -> Iterable[CheckMessage]:
    if not account.callback_token:
        return
    ready = _module("incoming").AVAILABLE
    if account.encoding_aes_key:
        ready = ready and _module("message_crypto").AVAILABLE
    if not ready:
        yield Error(
            f"{where}: CALLBACK_TOKEN is set, but what reads callbacks is not installed.",
            hint='pip install "django-wechat-notify[callbacks]"',
            id="wechat_notify.E030",
        )


def _keys(account: AccountConfig, where: str) -> Iterable[CheckMessage]:
    keys = {
        "ENCODING_AES_KEY": account.encoding_aes_key,
        "PREVIOUS_ENCODING_AES_KEY": account.previous_encoding_aes_key,
    }
    for name, key in keys.items():
        if key and not _module("message_crypto").is_encoding_aes_key(key):
            yield Error(
                f"{where}: {name} must be 43 letters and digits, as the console shows it.",
                id="wechat_notify.E031",
            )
    if account.previous_encoding_aes_key and not account.encoding_aes_key:
        yield CheckWarning(
            f"{where}: PREVIOUS_ENCODING_AES_KEY does nothing without ENCODING_AES_KEY.",
            id="wechat_notify.W030",
        )
    if account.encoding_aes_key and not account.callback_token:
        yield CheckWarning(
            f"{where}: ENCODING_AES_KEY does nothing without CALLBACK_TOKEN.",
            id="wechat_notify.W031",
        )
