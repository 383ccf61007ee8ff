"""HTTP to api.weixin.qq.com: one JSON answer or one ``TransportError`` a request.

Nothing outside knows requests' types. The proxies and the CA bundle of the environment are
honoured, looked up once.
"""

import logging
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import default_user_agent
from urllib3.exceptions import HTTPError

from ..exceptions import InvalidSettings, TransportError
from ..types import SecretBytes
from .answers import answer_in, body_of, failed_handshake, failure_of
from .connections import PooledAdapter, ssl_context
from .forks import PerProcess
from .masking import RedactingFilter

# How often the clock is compared with WeChat's: reading a date costs as much as sending does.
_SKEW_SECONDS = 60

_redacting = RedactingFilter()


class Transport:
    """The connections to one API host. Thread-safe; a forked child opens its own.

    ``timeout`` is (connect, read) in seconds. A connection is made within the first (for each
    address that the host has), and a whole answer has come within the second. ``pool_size`` is
    how many connections are kept open, ``ca_bundle`` a file or directory of CA certificates that
    goes before REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE. Raises ``InvalidSettings`` where the base
    or the bundle cannot be used.
    """

    def __init__(
        self,
        api_base: str,
        *,
        timeout: tuple[float, float] = (5, 10),
        pool_size: int = 32,
        ca_bundle: str = "",
    ) -> None:
        self.api_base = _checked_base(api_base)
        self.longest = sum(timeout)
        """Seconds that one request takes at most, with one address to connect to."""
        environment = requests.Session().merge_environment_settings(
            self.api_base, {}, True, ca_bundle or True, None
        )
        context = ssl_context(environment["verify"]) if self.api_base.startswith("https:") else None
        self._adapter = PerProcess(lambda: PooledAdapter(pool_size, context))
        self._options: dict[str, Any] = {
            "timeout": timeout,
            "proxies": environment["proxies"],
            "stream": True,  # The body is read here, up to a limit.
        }
        self._last: tuple[Any, requests.PreparedRequest] | None = None
        self._clock = _ClockSkew()
        _keep_tokens_out_of_logs()

    def close(self) -> None:
        """Close the idle connections. A later request opens new ones."""
        self._adapter.get().close()

    def clock_skew(self) -> float | None:
        """Seconds that WeChat's clock was ahead of ours in its last answers; None: not known.

        From the Date header, so right to about a second.
        """
        return self._clock.seconds

    def tls_trouble(self) -> str | None:
        """Why no TLS connection to the API host can be made, with the certificates that the
        account trusts and through its proxy. "" if one can; None: the base has no TLS, or nothing
        answers there at all.
        """
        if not self.api_base.startswith("https:"):
            return None
        request = requests.Request("HEAD", self.api_base + "/").prepare()
        try:
            self._adapter.get().send(request, **self._options).close()
        except (requests.RequestException, HTTPError) as error:
            return failed_handshake(error) or None
        return ""

    def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        """WeChat's answer, as a dict whose ``errcode``, if any, is an int.

        ``path`` is under the API base, ``params`` are the query, ``body`` is UTF-8 JSON.

        Raises ``TransportError`` where there is no usable answer. Its ``maybe_sent`` is False
        without a ``status`` where no connection was made, False with one where a gateway or proxy
        refused in WeChat's place, and True where the request left and nothing usable came back.
        """
        failure: BaseException
        try:
            status, content = self._exchange(method, path, dict(params or {}), body)
        except (requests.RequestException, HTTPError) as error:
            failure = failure_of(error)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
        else:
            return answer_in(status, content)
        # Without the frames and causes below this one: they hold the URL with its token.
        failure.__cause__ = failure.__context__ = None
        raise failure.with_traceback(None)

    def _exchange(
        self, method: str, path: str, params: dict[str, str], body: bytes | None
    ) -> tuple[int, SecretBytes]:
        request = self._prepared(method, path, params, body)
        response = self._adapter.get().send(request, **self._options)
        try:
            content = body_of(response.raw)
        except TransportError:
            response.raw.close()
            raise
        self._clock.note(response.headers)
        return response.status_code, content

    def _prepared(
        self, method: str, path: str, params: dict[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        """The request. The last one is kept: to prepare it anew costs far more than to copy it."""
        if body is None:
            return self._new_request(method, path, params, None)
        asked = (method, path, params)
        last = self._last
        if last is None or last[0] != asked:
            last = self._last = (asked, self._new_request(method, path, params, b"{}"))
        request = last[1].copy()
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        return request

    def _new_request(
        self, method: str, path: str, params: dict[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        # The fewer headers, the cheaper: answers are too short to be worth compressing.
        headers = {"User-Agent": default_user_agent()}
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        return requests.Request(
            method, self.api_base + path, params=params, data=body, headers=headers
        ).prepare()


class _ClockSkew:
    """The difference between WeChat's clock and ours, looked at once a minute."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._next = 0.0

    def note(self, headers: Mapping[str, str]) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _SKEW_SECONDS
        try:
            theirs = parsedate_to_datetime(headers["Date"]).timestamp()
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        # The header leaves out the fraction of the second.
        self.seconds = theirs + 0.5 - time.time()


def _keep_tokens_out_of_logs() -> None:
    for name in ("urllib3.connectionpool", "urllib3.connection"):
        logging.getLogger(name).addFilter(_redacting)


def _checked_base(api_base: str) -> str:
    parts = urlsplit(api_base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise InvalidSettings(
            f"API_BASE must look like https://api.weixin.qq.com, not {api_base!r}."
        )
    return api_base.rstrip("/")
