"""Requests to one account's API that carry its access token, repeated once if it was stale."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from django.core.cache.backends.base import BaseCache

from ..exceptions import TransportError
from ..types import Secret, SecretBytes
from .errors import token_error, wechat_error
from .token_failures import refused_token_error
from .tokens import TokenStore
from .transport import Transport

# At the business endpoints these say that the token is stale (docs/wechat-api.md, 2.2).
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
    """Calls of one account, with its access token. Thread-safe.

    ``transport`` connects to WeChat. ``cache`` is a Django cache that all processes of the account
    share: it holds the access token. ``token_mode`` is "stable" or "classic".
    """

    def __init__(
        self,
        transport: Transport,
        *,
        app_id: str,
        app_secret: str,
        cache: BaseCache,
        token_mode: str = "stable",
    ) -> None:
        app_secret = Secret(app_secret)  # First of all: a traceback shows this frame's names.
        self.app_id = app_id
        self._app_secret = app_secret
        self.transport = transport
        self.tokens = TokenStore(
            cache,
            app_id=app_id,
            mode=token_mode,
            fetch=self._fetch_classic if token_mode == CLASSIC else self._fetch_stable,
            fetch_seconds=transport.longest,
        )

    def close(self) -> None:
        """Close idle connections. May still be used afterwards."""
        self.transport.close()

    def with_token(self, call: Callable[[str], _A]) -> _A:
        """``call(token)``, repeated once with another token if WeChat finds the first one stale.

        Raises ``TokenError`` or ``TransportError`` where there is no token to call with: nothing
        has left then, or WeChat has just refused it.
        """
        token = self.tokens.get()
        answer = call(token)
        if answer.errcode in STALE_TOKEN:
            self.tokens.drop(token)
            token = self.tokens.get()
            answer = call(token)
            if answer.errcode in STALE_TOKEN:
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
            fields = self.transport.request(method, path, query, body)
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
        body = encoded({**self._credentials(), "force_refresh": force})
        return self._fetch_token("POST", "/cgi-bin/stable_token", body=body)

    def _fetch_classic(self, force: bool) -> tuple[str, int]:
        """GET /cgi-bin/token: base/api_getaccesstoken. Forced or not, it gives a new token."""
        return self._fetch_token("GET", "/cgi-bin/token", params=self._credentials())

    def _credentials(self) -> dict[str, str]:
        return {
            "grant_type": "client_credential",
            "appid": self.app_id,
            "secret": self._app_secret,
        }

    def _fetch_token(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[str, int]:
        try:
            answer = self.transport.request(method, path, params, body)
        except TransportError as error:
            # Whatever happened to this request, no message has left.
            raise TransportError(
                f"No access token. {error}", maybe_sent=False, status=error.status
            ) from None
        if answer.get("errcode"):
            raise token_error(answer["errcode"], str(answer.get("errmsg", "")))
        return needed(answer, "access_token", str), needed(answer, "expires_in", int)


def encoded(payload: Mapping[str, Any]) -> bytes:
    r"""``payload`` as UTF-8 JSON: the menu API refuses ``\uXXXX`` with 40033, and no large SDK
    sends it (docs/wechat-api.md, 9)."""
    return SecretBytes(json.dumps(payload, ensure_ascii=False).encode())


def needed(answer: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """``answer[name]``. Raises TransportError where it is missing, "" or of another kind."""
    value = answer.get(name)
    if not isinstance(value, kind) or value == "":
        raise TransportError(f"WeChat's answer lacks {name!r}.", maybe_sent=False)
    return value


def needed_objects(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The JSON objects in the list ``answer[name]``; raises TransportError as ``needed`` does."""
    entries: list[dict[str, Any]] = needed(answer, name, list)
    if not all(isinstance(entry, dict) for entry in entries):
        raise TransportError(f"WeChat's answer lacks objects in {name!r}.", maybe_sent=False)
    return entries
