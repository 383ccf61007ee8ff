"""From the XML that WeChat posts to what it says: a ``Message``, or an ``Event``
(docs/wechat-api.md, 4, 5).

Anybody may post XML: no DTD, no entities, bounded in size, depth and number of elements.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

from ..exceptions import CallbackRefused, ConfigurationError

try:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser, ParseError
except ImportError:  # the extra "callbacks" is not installed
    DefusedXMLParser = None  # type: ignore[assignment,misc]

AVAILABLE = DefusedXMLParser is not None

EXTRA_NEEDED = 'Callbacks need: pip install "django-wechat-notify[callbacks]"'

# Far more than any message of the platform has.
MAX_DEPTH = 8
MAX_ELEMENTS = 1_000
MAX_OPENID = 64
# The year 9999, the last one that a datetime can hold.
_LAST_SECOND = 253_402_300_799
_QR_SCENE = "qrscene_"
# What XML 1.0 forbids. A person's text can hold such a character, and WeChat passes it on.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
RECEIPT = "templatesendjobfinish"


@dataclass(frozen=True, slots=True)
class Message:
    """Something that a person did or wrote, or that WeChat says of a person.

    ``type`` is MsgType ("text", "image", "event", …). ``msgid`` is MsgId or MsgID, 0 where there
    is none. ``fields`` has every element by name: a text, a mapping of its children, or a list
    where one name came several times.
    """

    to: str
    from_openid: str = field(repr=False)
    created_at: datetime
    type: str
    msgid: int
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def is_receipt(self) -> bool:
        """Whether it says how a template message fared."""
        return False

    @property
    def identity(self) -> tuple[str, ...]:
        """The same where WeChat posts a message again, and different for any other message.

        The platform says MsgId for messages.
        """
        return ("message", self.from_openid, str(self.created_at.timestamp()), str(self.msgid))


@dataclass(frozen=True, slots=True)
class Event(Message):
    """Something happened. ``event`` is in lower case, for WeChat writes SCAN and subscribe.

    ``status`` is a delivery receipt's, as WeChat wrote it.
    """

    event: str
    event_key: str
    ticket: str = field(repr=False)
    status: str

    @property
    def is_receipt(self) -> bool:
        return self.event == RECEIPT

    @property
    def identity(self) -> tuple[str, ...]:
        """For events the platform says FromUserName and CreateTime.

        These alone collide when one person gets two receipts in one second.
        """
        return (
            *("event", self.from_openid, str(self.created_at.timestamp())),
            *(self.event, self.event_key, str(self.msgid)),
        )

    @property
    def scene(self) -> str:
        """What a scanned QR code said; empty where none was scanned.

        A newcomer's EventKey has the prefix ``qrscene_``, a follower's none. Other prefixes mean
        other things.
        """
        if self.event == "scan":
            return self.event_key
        if self.event == "subscribe" and self.event_key.startswith(_QR_SCENE):
            return self.event_key.removeprefix(_QR_SCENE)
        return ""


def read_fields(xml: bytes) -> dict[str, Any]:
    """The elements inside the root, by name. Raises ``CallbackRefused`` for what is not WeChat's.

    Characters that XML forbids are left out.
    """
    if not AVAILABLE:
        raise ConfigurationError(EXTRA_NEEDED)
    collector = _Collector()
    try:
        parser = DefusedXMLParser(target=collector, forbid_dtd=True)
        # As text: then an encoding that the XML claims for itself changes nothing.
        parser.feed(_FORBIDDEN.sub("", xml.decode("utf-8", "replace")))
        root: Any = parser.close()
    except (DefusedXmlException, ParseError) as error:
        raise CallbackRefused("The body is not XML as WeChat writes it.") from error
    if not isinstance(root, dict):
        raise CallbackRefused("The body has no elements.")
    return root


def parse(xml: bytes) -> Message:
    """What the XML says: an ``Event`` where MsgType is event, else a ``Message``.

    Raises ``CallbackRefused`` where it lacks what every one has.
    """
    fields = read_fields(xml)
    openid, kind = _text(fields, "FromUserName"), _text(fields, "MsgType").lower()
    if not 0 < len(openid) <= MAX_OPENID or not kind:
        raise CallbackRefused("The message does not say from whom it comes, or what it is.")
    common: dict[str, Any] = {
        "to": _text(fields, "ToUserName"),
        "from_openid": openid,
        "created_at": _moment(fields),
        "type": kind,
        # Receipts write MsgID, ordinary messages MsgId.
        "msgid": _number(fields, "MsgID") or _number(fields, "MsgId"),
        "fields": MappingProxyType(fields),
    }
    if kind != "event":
        return Message(**common)
    return Event(
        **common,
        event=_text(fields, "Event").lower(),
        event_key=_text(fields, "EventKey"),
        ticket=_text(fields, "Ticket"),
        status=_text(fields, "Status"),
    )


class _Collector:
    """Builds the mapping while the parser reads, and stops it at the limits."""

    def __init__(self) -> None:
        self._open: list[tuple[dict[str, Any], list[str]]] = [({}, [])]
        self._elements = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if len(self._open) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise CallbackRefused("The body has too many elements.")
        self._open.append(({}, []))

    def data(self, text: str) -> None:
        self._open[-1][1].append(text)

    def end(self, tag: str) -> None:
        children, texts = self._open.pop()
        _put(self._open[-1][0], tag, children or "".join(texts))

    def close(self) -> Any:
        (root,) = self._open[0][0].values()
        return root


def _put(siblings: dict[str, Any], tag: str, value: Any) -> None:
    """A name that comes again makes a list of what it stands for."""
    if tag not in siblings:
        siblings[tag] = value
    elif isinstance(siblings[tag], list):
        siblings[tag].append(value)
    else:
        siblings[tag] = [siblings[tag], value]


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _number(fields: Mapping[str, Any], name: str) -> int:
    """0 for what is no number of 64 bits."""
    text = _text(fields, name)
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        return 0
    number = int(text)
    return number if number < 2**63 else 0


def _moment(fields: Mapping[str, Any]) -> datetime:
    seconds = _number(fields, "CreateTime")
    if not 0 < seconds <= _LAST_SECOND:
        raise CallbackRefused("The message does not say when it was sent.")
    return datetime.fromtimestamp(seconds, timezone.utc)
