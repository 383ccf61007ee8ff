"""Plain values that travel between the rooms of the app. No ORM, no settings, no network."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict


class MiniProgram(TypedDict):
    """Where a tap on the card leads when it opens a mini program.

    WeChat prefers it over a url when a message has both; clients that cannot open
    mini programs fall back to the url.
    """

    appid: str
    pagepath: str


WireData: TypeAlias = Mapping[str, Mapping[str, str]]
"""Template data as it goes over the wire: ``{"thing1": {"value": "…"}}``."""

Data: TypeAlias = Mapping[str, Any]
"""Template data as a caller writes it: ``{"thing1": "…"}`` or ``{"thing1": {"value": "…"}}``."""

DataSource: TypeAlias = Data | Callable[[Any], Data]
"""Data for everybody, or a function of the recipient: a user, or an openid without one."""


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """One template message to one person, ready for a backend."""

    openid: str
    template_id: str
    data: WireData
    url: str = ""
    miniprogram: MiniProgram | None = None
    client_msg_id: str = ""


class Outcome(enum.Enum):
    """What is known about one attempt once it is over."""

    ACCEPTED = "accepted"
    """WeChat took the message (errcode 0). Not yet delivered: the receipt says that."""
    REFUSED = "refused"
    """WeChat, or the gateway before it, answered that it did not take the message."""
    NOT_SENT = "not_sent"
    """The message never left: no connection could be made."""
    UNKNOWN = "unknown"
    """The request left and no usable answer came back: it may have been sent."""


Endpoint: TypeAlias = Literal["send", "token"]


@dataclass(frozen=True, slots=True)
class SendResult:
    """What a backend says about one attempt to send one message.

    ``errcode`` is WeChat's own number, or None where WeChat did not speak (a timeout, a proxy's
    error page). ``endpoint`` tells which door answered, because one errcode can mean two things:
    40001 from the token endpoint is a wrong secret, from a business endpoint a stale token.
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
    """One template as WeChat's own list describes it."""

    template_id: str
    title: str
    content: str
    example: str = ""
    primary_industry: str = ""
    deputy_industry: str = ""


@dataclass(frozen=True, slots=True)
class Follower:
    """What WeChat says about one openid. Not subscribed: nothing else is known."""

    openid: str
    subscribed: bool
    unionid: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
