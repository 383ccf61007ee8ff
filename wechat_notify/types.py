"""Plain values that the app's modules pass to each other. No ORM, no settings, no network."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict


class Secret(str):
    """A string whose repr does not show it, because tracebacks and error mails contain reprs.

    Otherwise it is like any other string. When it is pickled, it becomes a plain one.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class SecretBytes(bytes):
    """The same for the bytes of a request."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class MiniProgram(TypedDict):
    """Where a tap on the card leads when it opens a mini program.

    WeChat prefers it over a url when a message has both; clients that cannot open
    mini programs fall back to the url.
    """

    appid: str
    pagepath: str


WireData: TypeAlias = Mapping[str, Mapping[str, str]]
"""Template data as WeChat gets it: ``{"thing1": {"value": "…"}}``."""

Data: TypeAlias = Mapping[str, Any]
"""Template data as a caller writes it: ``{"thing1": "…"}`` or ``{"thing1": {"value": "…"}}``."""

DataSource: TypeAlias = Data | Callable[[Any], Data]
"""Data for everybody, or a function that gets a user, or the openid of a person without one."""


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """One template message to one person, ready for a backend. Its repr shows nothing personal.

    ``client_msg_id`` is the same for every attempt at one message. WeChat delivers only one of two
    messages that have the same openid and ``client_msg_id`` and come within ten minutes
    (docs/wechat-api.md, 2.1).
    """

    openid: str = field(repr=False)
    template_id: str
    data: WireData = field(repr=False)
    url: str = field(default="", repr=False)
    miniprogram: MiniProgram | None = None
    client_msg_id: str = ""


class Outcome(enum.Enum):
    """What is known after one attempt."""

    ACCEPTED = "accepted"
    """WeChat accepted the message (errcode 0). The receipt says later whether it was delivered."""
    REFUSED = "refused"
    """WeChat, or a gateway in front of it, answered that it did not accept the message."""
    NOT_SENT = "not_sent"
    """The message was not sent, because no connection could be made."""
    UNKNOWN = "unknown"
    """The request was sent and got no usable answer: WeChat may have accepted the message."""


Endpoint: TypeAlias = Literal["send", "token"]


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one attempt to send one message, as a backend returns it.

    ``errcode`` is WeChat's, or None if the answer is not WeChat's (a timeout, a proxy's error
    page). ``endpoint`` is the endpoint that answered, because one errcode can mean two things:
    from the token endpoint 40001 is a wrong secret, from any other an invalid token.
    ``rid`` is WeChat's request id; it can be looked up for seven days.
    """

    outcome: Outcome
    errcode: int | None = None
    errmsg: str = ""
    msgid: int | None = None
    rid: str = ""
    endpoint: Endpoint = "send"


@dataclass(frozen=True, slots=True)
class RemoteTemplate:
    """One template in WeChat's list."""

    template_id: str
    title: str
    content: str
    example: str = ""
    primary_industry: str = ""
    deputy_industry: str = ""


@dataclass(frozen=True, slots=True)
class Follower:
    """What WeChat knows of one openid; if not subscribed, nothing else."""

    openid: str
    subscribed: bool
    unionid: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class FollowerPage:
    """Up to 10,000 openids of the account's followers. ``next_openid`` is "" on the last page."""

    total: int
    openids: list[str]
    next_openid: str


@dataclass(frozen=True, slots=True)
class Quota:
    """One API's calls today."""

    daily_limit: int
    used: int
    remain: int


@dataclass(frozen=True, slots=True)
class QRCode:
    """A QR code that leads to the account. ``url`` is what the code itself says."""

    ticket: str
    url: str
    expire_seconds: int


@dataclass(frozen=True, slots=True)
class Authorization:
    """Who came back with a code.

    ``is_snapshot``: the person saw only a snapshot of the page, and the openid is a made-up one
    that must not be believed. The person need not follow the account.
    """

    openid: str
    scope: str = ""
    unionid: str = ""
    is_snapshot: bool = False
