"""Requests to one account's API that carry its access token, repeated once if it was stale."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from django.core.cache.backends.base import BaseCache
from requests import PreparedRequest

from ..exceptions import TokenError, TransportError
from .errors import token_error, wechat_error
from .tokens import TokenStore, refused_token_error
from .transport import Transport

# At the business endpoints these say that the token is stale (WECHAT.md 2.2).
STALE_TOKEN = frozenset({40001, 40014, 42001})
CLASSIC = "classic"


class _Answered(Protocol):
    @property
    def errcode(self) -> int | None: ...


_A = TypeVar("_A", bound=_Answered)


@dataclass(frozen=True, slots=True)
class _Answer:
    errcode: int
    fields: dict[str, Any]


class AccountAccess:
    """An account's connections and token, and the ways to ask with them. Thread-safe.

    ``cache`` is a Django cache that all processes of the account share: it holds the access
    token. ``token_mode`` is "stable" or "classic". ``timeout`` is (connect, read) in seconds,
    ``pool_size`` the number of threads that ask at once. ``ca_bundle`` names CA certificates
    that go before those of the environment.
    """

    def __init__(
        self,
        *,
        app_id: str,
        app_secret: str,
        cache: BaseCache,
        api_base: str = "https://api.weixin.qq.com",
        token_mode: str = "stable",
        timeout: tuple[float, float] = (5, 10),
        pool_size: int = 32,
        ca_bundle: str = "",
    ) -> None:
        self.app_id = app_id
        self._app_secret = app_secret
        self.transport = Transport(
            api_base, timeout=timeout, pool_size=pool_size, ca_bundle=ca_bundle
        )
        self.tokens = TokenStore(
            cache,
            app_id=app_id,
            mode=token_mode,
            fetch=self._fetch_classic if token_mode == CLASSIC else self._fetch_stable,
            fetch_seconds=sum(timeout),
        )

    def close(self) -> None:
        """Close idle connections. May still be used afterwards."""
        self.transport.close()

    def with_token(self, call: Callable[[str], _A]) -> _A:
        """``call(token)``, repeated once with another token if WeChat finds the first one stale.

        Raises ``TokenError`` or ``TransportError`` where there is no token to call with: nothing
        has left then, or WeChat has just refused it.
        """
        with _cache_failures_told():
            token = self.tokens.get()
        answer = call(token)
        if answer.errcode in STALE_TOKEN:
            with _cache_failures_told():
                self.tokens.drop(token)
                token = self.tokens.get()
            answer = call(token)
            if answer.errcode in STALE_TOKEN:
                with _cache_failures_told():
                    self.tokens.drop(token)
        return answer

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """WeChat's answer to a GET, or ``WeChatError``, ``TokenError`` or ``TransportError``."""
        return self._ask("GET", path, params, None)

    def post(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The same for a POST of ``payload`` as JSON."""
        return self._ask("POST", path, {}, encoded(payload))

    def _ask(
        self, method: str, path: str, params: Mapping[str, str], body: bytes | None
    ) -> dict[str, Any]:
        def call(token: str) -> _Answer:
            query = {"access_token": token, **params}
            request = self.transport.prepare(method, path, params=query, body=body)
            fields = self.transport.send(request)
            return _Answer(fields.get("errcode", 0), fields)

        answer = self.with_token(call)
        if answer.errcode in STALE_TOKEN:
            raise refused_token_error()
        if answer.errcode:
            errmsg = str(answer.fields.get("errmsg", ""))
            raise wechat_error(answer.errcode, errmsg, answer=answer.fields)
        return answer.fields

    def _fetch_stable(self, force: bool) -> tuple[str, int]:
        """POST /cgi-bin/stable_token: base/api_getstableaccesstoken."""
        body = {**self._credentials(), "force_refresh": force}
        return self._fetch_token(
            self.transport.prepare("POST", "/cgi-bin/stable_token", body=encoded(body))
        )

    def _fetch_classic(self, force: bool) -> tuple[str, int]:
        """GET /cgi-bin/token: base/api_getaccesstoken. Forced or not, it gives a new token."""
        return self._fetch_token(
            self.transport.prepare("GET", "/cgi-bin/token", params=self._credentials())
        )

    def _credentials(self) -> dict[str, str]:
        return {
            "grant_type": "client_credential",
            "appid": self.app_id,
            "secret": self._app_secret,
        }

    def _fetch_token(self, request: PreparedRequest) -> tuple[str, int]:
        try:
            answer = self.transport.send(request)
        except TransportError as error:
            # Whatever happened to this request, no message has left.
            raise TransportError(
                f"No access token. {error}", maybe_sent=False, status=error.status
            ) from None
        if answer.get("errcode"):
            raise token_error(answer["errcode"], str(answer.get("errmsg", "")))
        return needed(answer, "access_token", str), needed(answer, "expires_in", int)


@contextmanager
def _cache_failures_told() -> Iterator[None]:
    """Every cache library has its own word for "not there"; here it means: no token."""
    try:
        yield
    except (TokenError, TransportError):
        raise
    except Exception as error:
        raise TransportError(
            f"No access token: the cache failed ({type(error).__name__}).", maybe_sent=False
        ) from error


def encoded(payload: Mapping[str, Any]) -> bytes:
    r"""``payload`` as UTF-8 JSON: WeChat has answered 40033 to ``\uXXXX`` (WECHAT.md 9)."""
    return json.dumps(payload, ensure_ascii=False).encode()


def needed(answer: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """``answer[name]``; missing, empty text or of another kind, the answer is of no use."""
    value = answer.get(name)
    if not isinstance(value, kind) or value == "":
        raise TransportError(f"WeChat's answer lacks {name!r}.", maybe_sent=False)
    return value
