"""What the fake WeChat knows: the account, templates, people, messages, QR codes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .sealing import PLAIN

SUCCESS = "success"
TEMPLATE_MESSAGE, SUBSCRIPTION = "template", "subscription"


@dataclass(slots=True)
class Account:
    """The official account that is played, and its rules. Its repr shows no secret.

    ``repeat_errcode``: what a repeated client_msg_id is answered with. Which it is in truth is
    not known (docs/wechat-api.md, 2.1): 0 with the first one's msgid, or 40241.
    ``callback_mode``: plain, compatible or safe; the last two need ``encoding_aes_key``.
    ``max_url``: WeChat refuses a long url with 40039 and does not say how long.
    ``miniprograms``: the app ids associated with the account; None takes any.
    ``any_openid``: accept openids that belong to no known follower.
    ``consent``: whether web authorisation with snsapi_userinfo asks first; snsapi_base never does.
    ``authorize_domain``: the 网页授权域名 of redirect_uri; empty takes any.
    ``phone_user``: who holds the phone when a browser without one opens the authorise page.
    ``page_size``: how many followers user/get lists at a time.
    """

    app_id: str
    app_secret: str = field(repr=False)
    name: str
    original_id: str = "gh_5a4db0c00000"
    callback_url: str = ""
    callback_token: str = field(default="", repr=False)
    callback_mode: str = PLAIN
    encoding_aes_key: str = field(default="", repr=False)
    latency: float = 0.0
    repeat_errcode: int = 0
    max_url: int = 2048
    miniprograms: tuple[str, ...] | None = None
    any_openid: bool = False
    consent: bool = True
    authorize_domain: str = ""
    phone_user: str = ""
    page_size: int = 10_000


@dataclass(slots=True)
class Template:
    """A registered template. ``choices`` are the approved values of its const and enum fields.

    ``ban_after``: so many messages are accepted with it, then it is banned; None: never.
    ``reviews``: its messages go into review, and the answers have no msgid. ``kind``: "template",
    or "subscription" for one of 订阅通知, which the other list has and template/send does not take.
    """

    template_id: str
    title: str
    content: str
    example: str = ""
    primary_industry: str = ""
    deputy_industry: str = ""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    banned: bool = False
    ban_after: int | None = None
    reviews: bool = False
    kind: str = TEMPLATE_MESSAGE

    def as_listed(self) -> dict[str, str]:
        """The entry of get_all_private_template (docs/wechat-api.md, 3)."""
        return {
            "template_id": self.template_id,
            "title": self.title,
            "primary_industry": self.primary_industry,
            "deputy_industry": self.deputy_industry,
            "content": self.content,
            "example": self.example,
        }


@dataclass(slots=True)
class User:
    """One person, seen from this account.

    ``refuses`` is the errcode that every message to this person gets (43101: does not want it);
    ``receipt`` the status of the delivery receipts (``"failed:user block"``); ``snapshot`` makes
    web authorisation answer as it does to a snapshot page, with a false openid.
    """

    openid: str
    nickname: str = ""
    subscribed: bool = True
    unionid: str = ""
    subscribed_at: int = 0
    scene: str = ""
    refuses: int = 0
    receipt: str = SUCCESS
    snapshot: bool = False

    @property
    def name(self) -> str:
        return self.nickname or self.openid[-6:]

    def as_info(self) -> dict[str, Any]:
        """The answer of user/info. Of a person who does not follow, it holds only the openid.

        Nickname and portrait have not been given out since 2021-12-27 (docs/wechat-api.md, 7).
        """
        if not self.subscribed:
            return {"subscribe": 0, "openid": self.openid}
        info: dict[str, Any] = {
            "subscribe": 1,
            "openid": self.openid,
            "nickname": "",
            "sex": 0,
            "language": "zh_CN",
            "city": "",
            "province": "",
            "country": "",
            "headimgurl": "",
            "subscribe_time": self.subscribed_at,
            "remark": "",
            "groupid": 0,
            "tagid_list": [],
            "subscribe_scene": "ADD_SCENE_QR_CODE" if self.scene else "ADD_SCENE_SEARCH",
            "qr_scene": 0,
            "qr_scene_str": self.scene,
        }
        if self.unionid:
            info["unionid"] = self.unionid
        return info


@dataclass(frozen=True, slots=True)
class PhoneMessage:
    """One template message that was accepted. ``raw`` is the request's body, byte for byte."""

    msgid: int
    at: float
    openid: str
    template_id: str
    client_msg_id: str
    raw: bytes = field(repr=False)

    @property
    def body(self) -> dict[str, Any]:
        """The request's body, parsed."""
        parsed: dict[str, Any] = json.loads(self.raw)
        return parsed

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.body["data"]
        return data

    @property
    def url(self) -> str:
        return self.body.get("url") or ""

    @property
    def miniprogram(self) -> dict[str, str] | None:
        return self.body.get("miniprogram") or None

    def values(self) -> dict[str, str]:
        """Just the texts: ``{"thing1": "…"}``."""
        return values(self.data)

    def as_dict(self) -> dict[str, Any]:
        """For the control API; ``msgid`` as text too, for it is wider than a JavaScript number."""
        return {
            "msgid": self.msgid,
            "msgid_str": str(self.msgid),
            "at": self.at,
            "openid": self.openid,
            "template_id": self.template_id,
            "client_msg_id": self.client_msg_id,
            "data": self.data,
            "url": self.url,
            "miniprogram": self.miniprogram,
        }


@dataclass(frozen=True, slots=True)
class QRCode:
    """A parametric QR code: whoever scans it sends ``scene`` to the account."""

    ticket: str
    scene: str
    made_at: float
    expires_at: float | None


def values(data: Mapping[str, Any]) -> dict[str, str]:
    """The text of each field of a message's data; ``value`` may be any JSON value."""
    return {name: text(entry) for name, entry in data.items()}


def text(entry: Any) -> str:
    """The text of one field; empty where it has none."""
    value = entry.get("value") if isinstance(entry, Mapping) else None
    return "" if value is None else str(value)
