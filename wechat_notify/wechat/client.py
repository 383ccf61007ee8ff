"""WeChat's server API for one official account: one method a call, errcodes turned into outcomes.

``send_template`` answers with a ``SendResult`` whatever happens to the message. The other calls
raise: ``TokenError`` where no usable token is to be had, ``WeChatError`` where WeChat says no,
``TransportError`` where no answer came. Pages named here stand under
https://developers.weixin.qq.com/doc/service/api/.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..exceptions import RefusedTokenError, TokenError, TransportError, WeChatError
from ..types import (
    Endpoint,
    Follower,
    FollowerPage,
    Outcome,
    QRCode,
    Quota,
    RemoteTemplate,
    SendResult,
    TemplateMessage,
)
from .access import AccountAccess, encoded, needed, needed_objects
from .answers import was_intercepted
from .errors import request_id
from .masking import redact
from .openids import as_unionid, is_openid

SEND_PATH = "/cgi-bin/message/template/send"
BATCHGET_LIMIT = 100
LANGUAGE = "zh_CN"
MOST_BLOCKED = 100
_SUBSCRIPTION_KEYS = ("priTmplId", "title", "content", "example")
_UNKNOWN_PATH = (404, 405)
_MSGIDS = range(2**63)


class WeChatClient(AccountAccess):
    """The calls of one account. Thread-safe; one instance serves a whole process."""

    def send_template(self, message: TemplateMessage) -> SendResult:
        """Send one message, and say what is known of it. Never raises for the message's fate.

        A stale token is replaced and the message repeated, once; nothing else is repeated.
        Page: notify/template/api_sendtemplatemessage.
        """
        body = encoded(_wire_message(message))
        try:
            return self.with_token(lambda token: self._send_once(token, body))
        except TokenError as error:
            return SendResult(
                Outcome.REFUSED,
                error.errcode,
                error.errmsg,
                rid=error.rid,
                endpoint="send" if isinstance(error, RefusedTokenError) else "token",
            )
        except TransportError as error:
            return SendResult(Outcome.NOT_SENT, errmsg=str(error), endpoint="token")

    def _send_once(self, token: str, body: bytes) -> SendResult:
        try:
            answer = self.transport.request("POST", SEND_PATH, {"access_token": token}, body)
        except TransportError as error:
            return SendResult(_outcome(error), errmsg=str(error))
        return _send_result(answer)

    def probe(self) -> SendResult:
        """Whether WeChat answers, by a call that sends nothing (docs/wechat-api.md, 1.3)."""
        try:
            self.get("/cgi-bin/get_api_domain_ip")
        except WeChatError as error:
            endpoint: Endpoint = "send" if not isinstance(error, TokenError) else "token"
            return SendResult(
                Outcome.REFUSED, error.errcode, error.errmsg, rid=error.rid, endpoint=endpoint
            )
        except TransportError as error:
            # A gateway that lets messages through may know no other path.
            if error.status not in _UNKNOWN_PATH:
                return SendResult(Outcome.NOT_SENT, errmsg=str(error))
        return SendResult(Outcome.ACCEPTED, 0)

    def get_templates(self) -> list[RemoteTemplate]:
        """Every template of the account. Page: notify/template/api_getalltemplates."""
        answer = self.get("/cgi-bin/template/get_all_private_template")
        return [_remote_template(entry) for entry in needed_objects(answer, "template_list")]

    def get_subscription_templates(self) -> list[RemoteTemplate]:
        """The account's other templates, those of subscription notices (订阅通知).

        template/send does not take their ids (docs/wechat-api.md, 12.6).
        """
        answer = self.get("/wxaapi/newtmpl/gettemplate")
        return [
            RemoteTemplate(*(str(entry.get(name) or "") for name in _SUBSCRIPTION_KEYS))
            for entry in needed_objects(answer, "data")
        ]

    def get_blocked_openids(self, template_id: str) -> set[str]:
        """Whose messages of this template WeChat's review has blocked; the last 100 of them.

        Page: notify/template/api_queryblocktmplmsg. It gives one object or several
        (docs/wechat-api.md, 2.4).
        """
        payload = {"tmpl_msg_id": template_id, "largest_id": 0, "limit": MOST_BLOCKED}
        found = self.post("/wxa/sec/queryblocktmplmsg", payload).get("msginfo") or []
        entries = found if isinstance(found, list) else [found]
        return {str(one.get("openid") or "") for one in entries if isinstance(one, dict)} - {""}

    def add_template(self, short_id: str, keywords: Iterable[str] = ()) -> str:
        """Add a template of the library to the account; its template id comes back.

        ``keywords`` are the ones to show, in order, where ``short_id`` is a number (a category
        template).
        """
        payload = {"template_id_short": short_id, "keyword_name_list": list(keywords)}
        answer = self.post("/cgi-bin/template/api_add_template", payload)
        return str(needed(answer, "template_id", str))

    def delete_template(self, template_id: str) -> None:
        """Delete a template from the account."""
        self.post("/cgi-bin/template/del_private_template", {"template_id": template_id})

    def get_user(self, openid: str) -> Follower:
        """Whether one person follows the account."""
        return _follower(self.get("/cgi-bin/user/info", openid=openid, lang=LANGUAGE))

    def get_users(self, openids: Iterable[str]) -> list[Follower]:
        """The same for up to 100 people. Page: usermanage/userinfo/api_batchuserinfo."""
        users = [{"openid": openid, "lang": LANGUAGE} for openid in openids]
        if len(users) > BATCHGET_LIMIT:
            raise ValueError(f"At most {BATCHGET_LIMIT} openids at once, not {len(users)}.")
        answer = self.post("/cgi-bin/user/info/batchget", {"user_list": users})
        return [_follower(entry) for entry in needed_objects(answer, "user_info_list")]

    def get_followers(self, next_openid: str = "") -> FollowerPage:
        """One page of the followers' openids, after ``next_openid``, or the first one.

        Page: usermanage/userinfo/api_getfans.
        """
        params = {"next_openid": next_openid} if next_openid else {}
        answer = self.get("/cgi-bin/user/get", **params)
        # An empty page may come without "data", yet with a next_openid (docs/wechat-api.md, 7).
        data = needed(answer, "data", dict) if answer.get("data") else {}
        openids = needed(data, "openid", list) if data.get("openid") else []
        if not all(map(is_openid, openids)):
            raise TransportError("WeChat's answer holds what is no openid.", maybe_sent=False)
        return FollowerPage(
            total=needed(answer, "total", int),
            openids=openids,
            next_openid=str(answer.get("next_openid") or "") if openids else "",
        )

    def create_qrcode(self, scene: str, expire_seconds: int) -> QRCode:
        """A temporary QR code; whoever scans it reaches the account with ``scene``.

        ``scene`` has 1 to 64 characters, ``expire_seconds`` is at most 2,592,000
        (docs/wechat-api.md, 7).
        """
        payload = {
            "expire_seconds": expire_seconds,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        answer = self.post("/cgi-bin/qrcode/create", payload)
        lives = answer.get("expire_seconds")
        return QRCode(
            ticket=needed(answer, "ticket", str),
            url=needed(answer, "url", str),
            expire_seconds=lives if isinstance(lives, int) else expire_seconds,
        )

    def get_quota(self, cgi_path: str = SEND_PATH) -> Quota:
        """Today's quota of one API, named by its path (docs/wechat-api.md, 1.3)."""
        answer = self.post("/cgi-bin/openapi/quota/get", {"cgi_path": cgi_path})
        quota = needed(answer, "quota", dict)
        return Quota(*(needed(quota, name, int) for name in ("daily_limit", "used", "remain")))

    def get_request(self, rid: str) -> dict[str, Any]:
        """What WeChat recorded of a request of the last seven days, without its token.

        Keys: invoke_time, cost_in_ms, request_url, request_body, response_body, client_ip.
        """
        answer = self.post("/cgi-bin/openapi/rid/get", {"rid": rid})
        return {
            key: redact(value) if isinstance(value, str) else value
            for key, value in needed(answer, "request", dict).items()
        }


def _wire_message(message: TemplateMessage) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "touser": message.openid,
        "template_id": message.template_id,
        "data": message.data,
    }
    if message.url:
        fields["url"] = message.url
    if message.miniprogram:
        fields["miniprogram"] = message.miniprogram
    if message.client_msg_id:
        fields["client_msg_id"] = message.client_msg_id
    return fields


def _send_result(answer: Mapping[str, Any]) -> SendResult:
    errcode = answer.get("errcode", 0)
    errmsg = str(answer.get("errmsg", ""))
    if errcode:
        return SendResult(Outcome.REFUSED, errcode, redact(errmsg), rid=request_id(errmsg))
    if "errcode" not in answer and "msgid" not in answer:
        return SendResult(Outcome.UNKNOWN, errmsg="WeChat's answer could not be read.")
    return SendResult(Outcome.ACCEPTED, 0, errmsg, msgid=_msgid(answer.get("msgid")))


def _msgid(value: Any) -> int | None:
    """A number, of 64 bits today (docs/wechat-api.md, 2.1), perhaps written as a string.

    None for anything that cannot be one: a float may be another message's, rounded.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        msgid = int(value)
    except ValueError:
        return None
    return msgid if msgid in _MSGIDS else None


def _outcome(error: TransportError) -> Outcome:
    if error.maybe_sent:
        return Outcome.UNKNOWN
    if error.status is None or was_intercepted(error):
        return Outcome.NOT_SENT
    return Outcome.REFUSED


def _remote_template(entry: Mapping[str, Any]) -> RemoteTemplate:
    names = ("template_id", "title", "content", "example", "primary_industry", "deputy_industry")
    return RemoteTemplate(*(str(entry.get(name) or "") for name in names))


def _follower(entry: Mapping[str, Any]) -> Follower:
    return Follower(
        openid=str(entry.get("openid") or ""),
        subscribed=entry.get("subscribe") == 1,
        unionid=as_unionid(entry.get("unionid")),
        raw=entry,
    )
