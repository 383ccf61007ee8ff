"""Sends over WeChat itself."""

from collections.abc import Iterable
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.utils.connection import ConnectionProxy

from ..conf import AccountConfig, settings
from ..exceptions import InvalidSettings
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
from ..wechat import oauth
from ..wechat.client import WeChatClient
from ..wechat.transport import Transport
from .base import BaseBackend


class WeChatBackend(BaseBackend):
    """Sends over api.weixin.qq.com, or whatever ``API_BASE`` names.

    Options: ``ca_bundle``, a file or directory of CA certificates to trust in place of the usual
    ones, for a host or proxy with a certificate of its own.
    """

    option_names = frozenset({"ca_bundle"})
    supports_repeats = True  # docs/wechat-api.md, 2.1: client_msg_id
    supports_probe = True
    supports_templates = True
    supports_users = True
    supports_qrcodes = True
    supports_oauth = True
    supports_diagnosis = True

    def __init__(self, account: AccountConfig) -> None:
        super().__init__(account)
        # The proxy and not caches[...] itself: Django gives each thread a cache of its own,
        # because not every cache may be shared by threads.
        cache: Any = ConnectionProxy(caches, settings.CACHE)
        try:
            transport = Transport(
                account.api_base,
                timeout=account.timeout,
                pool_size=account.concurrency,
                **self.options,
            )
        except InvalidSettings as error:
            raise InvalidSettings(f'WECHAT_NOTIFY account "{account.alias}": {error}') from error
        self.client = WeChatClient(
            transport,
            app_id=account.app_id,
            app_secret=account.app_secret,
            token_mode=account.token_mode,
            cache=cache,
        )

    def send(self, message: TemplateMessage) -> SendResult:
        return self.client.send_template(message)

    def close(self) -> None:
        self.client.close()

    def check(self) -> list[CheckMessage]:
        return [*_check_credentials(self.account), *_check_cache(self.account)]

    def probe(self) -> SendResult:
        return self.client.probe()

    def clock_skew(self) -> float | None:
        return self.client.transport.clock_skew()

    def get_templates(self) -> list[RemoteTemplate]:
        return self.client.get_templates()

    def get_subscription_templates(self) -> list[RemoteTemplate]:
        return self.client.get_subscription_templates()

    def add_template(self, short_id: str, keywords: Iterable[str] = ()) -> str:
        return self.client.add_template(short_id, keywords)

    def delete_template(self, template_id: str) -> None:
        self.client.delete_template(template_id)

    def get_user(self, openid: str) -> Follower:
        return self.client.get_user(openid)

    def get_users(self, openids: Iterable[str]) -> list[Follower]:
        return self.client.get_users(openids)

    def get_followers(self, next_openid: str = "") -> FollowerPage:
        return self.client.get_followers(next_openid)

    def create_qrcode(self, scene: str, expire_seconds: int) -> QRCode:
        return self.client.create_qrcode(scene, expire_seconds)

    def exchange_code(self, code: str) -> Authorization:
        return oauth.exchange_code(
            self.client.transport,
            app_id=self.account.app_id,
            app_secret=self.account.app_secret,
            code=code,
        )

    def get_quota(self) -> Quota:
        return self.client.get_quota()

    def get_request(self, rid: str) -> dict[str, Any]:
        return self.client.get_request(rid)

    def get_blocked_openids(self, template_id: str) -> set[str]:
        return self.client.get_blocked_openids(template_id)

    def tls_trouble(self) -> str | None:
        return self.client.transport.tls_trouble()


def _check_credentials(account: AccountConfig) -> list[CheckMessage]:
    where = f'WECHAT_NOTIFY account "{account.alias}"'
    hint = (
        "Both are shown at developers.weixin.qq.com/platform, 基础信息 (before: mp.weixin.qq.com)."
    )
    found: list[CheckMessage] = []
    if not account.app_id:
        found.append(Error(f"{where}: APP_ID is missing.", hint=hint, id="wechat_notify.E010"))
    if not account.app_secret:
        found.append(Error(f"{where}: APP_SECRET is missing.", hint=hint, id="wechat_notify.E011"))
    for name, value in (("APP_ID", account.app_id), ("APP_SECRET", account.app_secret)):
        if "".join(value.split()) != value:
            found.append(
                CheckWarning(
                    f"{where}: {name} has a blank or a line end in it, so WeChat will refuse it.",
                    hint="It may come from a file or an environment variable with a last line end.",
                    id="wechat_notify.W013",
                )
            )
    return found


def _check_cache(account: AccountConfig) -> list[CheckMessage]:
    try:
        cache: BaseCache = caches[settings.CACHE]
    except InvalidCacheBackendError:
        return [
            Error(
                f'WECHAT_NOTIFY["CACHE"] names {settings.CACHE!r}, which CACHES does not have.',
                id="wechat_notify.E012",
            )
        ]
    hint = "Use a cache that all processes share, such as Redis, Memcached or the database."
    if isinstance(cache, DummyCache):
        message = f"The cache {settings.CACHE!r} keeps nothing: every message needs a new token."
        return [CheckWarning(message, hint=hint, id="wechat_notify.W010")]
    if account.token_mode == "classic" and isinstance(cache, LocMemCache):
        message = (
            f'WECHAT_NOTIFY account "{account.alias}": with TOKEN_MODE "classic" each process '
            f"would invalidate the others' token, because they do not share the cache "
            f"{settings.CACHE!r}."
        )
        return [CheckWarning(message, hint=hint, id="wechat_notify.W011")]
    return []
