"""The fake WeChat as tests hold it: a real HTTP server around one State.

with Sandbox() as wechat:
    settings.WECHAT_NOTIFY["ACCOUNTS"]["default"]["API_BASE"] = wechat.url
    wechat.fail(45009, times=1)
    …
    assert [message.openid for message in wechat.messages] == [...]
"""

import ssl
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from . import samples
from .connection import Listener
from .records import Account, PhoneMessage, Template, User
from .state import State
from .token_issuer import GRACE, LIFETIME

POLL_SECONDS = 0.05


class Sandbox:
    """A fake WeChat on a port of this machine, from ``with`` or ``start()`` to ``stop()``.

    ``templates``: Template objects or mappings of their fields; ``users``: User objects or openids
    of followers; samples.py's where not given. ``port`` 0 lets the system pick one.
    ``callback_url``: where receipts and events are posted. ``keep``: how many messages are kept
    whole (None: all). ``ssl_context``: serve TLS. Whatever ``rules`` there are besides are the
    fields of Account: ``repeat_errcode``, ``any_openid``, ``latency``, …
    """

    def __init__(
        self,
        *,
        app_id: str = samples.APP_ID,
        app_secret: str = samples.APP_SECRET,
        host: str = "127.0.0.1",
        port: int = 0,
        account_name: str = samples.ACCOUNT_NAME,
        templates: Iterable[Template | Mapping[str, Any]] | None = None,
        users: Iterable[User | str] | None = None,
        daily_quota: int | None = None,
        token_lifetime: float = LIFETIME,
        token_grace: float = GRACE,
        keep: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        **rules: Any,
    ) -> None:
        account = Account(app_id=app_id, app_secret=app_secret, name=account_name, **rules)
        self.state = State(
            account,
            templates=templates,
            users=users,
            token_lifetime=token_lifetime,
            token_grace=token_grace,
            keep=keep,
        )
        if daily_quota is not None:
            self.state.set_daily_quota(daily_quota)
        self._address = (host, port)
        self._ssl_context = ssl_context
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._add_shortcuts()

    def _add_shortcuts(self) -> None:
        """Make what tests call most often callable on this object."""
        faults = self.state.faults
        self.fail = faults.fail
        self.delay = faults.delay
        self.reset = faults.reset
        self.http_error = faults.http_error
        self.truncate = faults.truncate
        self.stall = faults.stall
        self.clear_faults = faults.clear
        self.follow = self.state.follow
        self.unfollow = self.state.unfollow
        self.change_user = self.state.change_user
        self.add_template = self.state.add_template
        self.remove_template = self.state.remove_template
        self.revoke_token = self.state.tokens.revoke
        self.advance = self.state.clock.advance
        self.clear = self.state.clear

    def __repr__(self) -> str:
        return f"<Sandbox {self.app_id} at {self.url if self._listener else 'rest'}>"

    def start(self) -> "Sandbox":
        """Listen, and answer from a background thread."""
        self._listener = Listener(self._address, self.state, self._ssl_context)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(POLL_SECONDS,), name="sandbox", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Hang up on everybody, stalled requests too, and free the port."""
        if self._listener is None or self._thread is None:
            return
        self._listener.close()
        self._thread.join()
        self.state.callbacks.close()
        self._listener = self._thread = None

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port listened on. RuntimeError before start()."""
        if self._listener is None:
            raise RuntimeError("The sandbox is not running.")
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``, for API_BASE and AUTHORIZE_BASE alike; no slash at the end."""
        scheme = "https" if self._ssl_context else "http"
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        return f"{scheme}://{host}:{self.port}"

    @property
    def app_id(self) -> str:
        return self.state.account.app_id

    @property
    def app_secret(self) -> str:
        return self.state.account.app_secret

    @property
    def account(self) -> Account:
        """The account's rules; they may be changed at any time."""
        return self.state.account

    @property
    def latency(self) -> float:
        """Seconds that every API call takes at least."""
        return self.state.account.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.state.account.latency = seconds

    @property
    def daily_quota(self) -> int:
        """Template messages a day."""
        return self.state.daily_quota

    @daily_quota.setter
    def daily_quota(self, messages: int) -> None:
        self.state.set_daily_quota(messages)

    @property
    def messages(self) -> list[PhoneMessage]:
        """Every message accepted, in order."""
        return self.state.mailbox.messages()

    def messages_to(self, openid: str) -> list[PhoneMessage]:
        """Those of one person."""
        return self.state.mailbox.messages(openid)

    @property
    def counts(self) -> Counter[str]:
        """Messages by openid."""
        return Counter(self.state.mailbox.counts)

    @property
    def duplicates(self) -> int:
        """Messages absorbed because their client_msg_id had come before."""
        return self.state.mailbox.duplicates

    @property
    def calls(self) -> Counter[str]:
        """API calls by path, refused ones too."""
        return Counter(self.state.traffic.calls)

    @property
    def token_fetches(self) -> int:
        """Calls to the two token endpoints."""
        return self.state.traffic.token_fetches

    @property
    def connections(self) -> int:
        """Connections that carried an API call."""
        return self.state.traffic.connections

    @property
    def max_in_flight(self) -> int:
        """The most API calls that were being answered at the same moment."""
        return self.state.traffic.max_in_flight

    def event(self, openid: str, event: str, **more: str | int) -> None:
        """Post an event to callback_url: ``event(openid, "SCAN", EventKey="…", Ticket="…")``."""
        self.state.callbacks.event(openid, event, **more)

    def receipt(self, openid: str, msgid: int, status: str = "success") -> None:
        """Post a delivery receipt to callback_url, beside those that are posted by themselves."""
        self.state.callbacks.receipt(openid, msgid, status)

    def wait_for_callbacks(self, timeout: float = 10.0) -> bool:
        """Wait until all posts to callback_url are done; False: not in time."""
        return self.state.callbacks.wait(timeout)
