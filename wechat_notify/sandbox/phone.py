"""The phone: who there is, and what each of them sees in WeChat."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from wechat_notify.wechat import fields

from .clock import BEIJING
from .protocol import Request, Response, redirect
from .records import PhoneMessage, QRCode, User
from .rendering import page, render
from .state import State

COOKIE = "sandbox_phone"
PEOPLE_SHOWN = 200
MESSAGES_SHOWN = 50
COLOURS = 8
WEEKDAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


@dataclass(frozen=True, slots=True)
class Contact:
    """One line of the list of people. ``avatar`` is a colour's number and a letter."""

    openid: str
    name: str
    path: str
    colour: str
    letter: str
    subscribed: bool
    unread: bool
    preview: str
    time: str
    last: float


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message in a chat, ready for card.html."""

    card: fields.Card
    url: str
    miniprogram: dict[str, str] | None
    time: str


def phone_path(openid: str) -> str:
    """Where a person's phone is."""
    return f"/phone/{quote(openid, safe='')}/"


def moment(at: float, now: float, *, short: bool = False) -> str:
    """A time as WeChat writes it: 15:01, 昨天 15:01, 星期三 15:01, 2026年10月1日 15:01."""
    then, today = datetime.fromtimestamp(at, BEIJING), datetime.fromtimestamp(now, BEIJING)
    days = (today.date() - then.date()).days
    if days <= 0:
        return f"{then:%H:%M}"
    if days == 1:
        day = "昨天"
    elif days < 7:
        day = WEEKDAYS[then.weekday()]
    else:
        day = f"{then.year}年{then.month}月{then.day}日"
    return day if short else f"{day} {then:%H:%M}"


def contact(state: State, user: User) -> Contact:
    """How a person stands in the list."""
    newest = state.mailbox.last(user.openid)
    template = state.template(newest.template_id) if newest else None
    return Contact(
        openid=user.openid,
        name=user.name,
        path=phone_path(user.openid),
        colour=str(zlib.crc32(user.openid.encode()) % COLOURS),
        letter=user.name[:1].upper(),
        subscribed=user.subscribed,
        unread=state.mailbox.unread(user.openid),
        preview=template.title if template else "模板消息" if newest else "",
        time=moment(newest.at, state.clock.time(), short=True) if newest else "",
        last=newest.at if newest else 0.0,
    )


def contacts(state: State) -> list[Contact]:
    """Everybody known or written to, those with the latest messages first."""
    people = {user.openid: user for user in state.users()}
    for openid in state.mailbox.openids():
        people.setdefault(openid, User(openid))
    lines = [contact(state, user) for user in people.values()]
    # Sorting is stable: people without messages stay in the order in which they came.
    return sorted(lines, key=lambda line: -line.last)


def bubbles(state: State, messages: list[PhoneMessage]) -> list[Bubble]:
    """Messages as cards, the oldest first; a time is shown where it differs from the last one."""
    now, shown, found = state.clock.time(), "", []
    for message in messages:
        time = moment(message.at, now)
        template = state.template(message.template_id)
        title, content = (template.title, template.content) if template else ("模板消息", "")
        found.append(
            Bubble(
                card=fields.card(title, content, message.values()),
                url=message.url,
                miniprogram=message.miniprogram,
                time=time if time != shown else "",
            )
        )
        shown = time
    return found


def people_page(state: State, request: Request) -> Response:
    """The first page: everybody."""
    return page("people.html", {**_people(state), "base": request.base})


def people_list(state: State, request: Request) -> Response:
    """What changes on the first page."""
    return _fragment(request, "people_list.html", _people(state))


def chat_page(state: State, request: Request, openid: str) -> Response:
    """One person's chat with the account. The browser holds this person's phone from now on."""
    cookie = f"{COOKIE}={quote(openid, safe='')}; Path=/; HttpOnly; SameSite=Lax"
    return page("chat.html", _chat(state, openid), headers=(("Set-Cookie", cookie),))


def chat_messages(state: State, request: Request, openid: str) -> Response:
    """What changes in a chat."""
    return _fragment(request, "chat_messages.html", _chat(state, openid))


def scan_page(state: State, request: Request, openid: str) -> Response:
    """扫一扫: the QR codes that this person can scan."""
    codes = [_scannable(state, code) for code in state.codes()]
    return page("scan.html", {**_header(state, openid), "codes": codes})


def _scannable(state: State, code: QRCode) -> dict[str, str]:
    """A code as texts: when it was made, and who has scanned it."""
    openid = state.scanned_by(code)
    user = (state.user(openid) or User(openid)) if openid else None
    return {
        "ticket": code.ticket,
        "scene": code.scene,
        "made": moment(code.made_at, state.clock.time()),
        "scanned_by": user.name if user is not None else "",
    }


def choose_page(state: State, request: Request) -> Response:
    """Who scans this code? It is what a code's own url leads to."""
    code = state.code(request.query.get("ticket", ""))
    if code is None:
        return problem("二维码已过期", "这个二维码不存在或已经过期，请重新生成。", status=404)
    people = contacts(state)[:PEOPLE_SHOWN]
    return page("choose.html", {"people": people, **_scannable(state, code)})


def scan(state: State, request: Request, openid: str) -> Response:
    """A person scans a code: an event for the account, and a new follower if it was none."""
    code = state.code(request.form().get("ticket", ""))
    if code is None:
        return problem("二维码已过期", "这个二维码不存在或已经过期，请重新生成。", status=404)
    scan_code(state, openid, code)
    return redirect(phone_path(openid))


def scan_code(state: State, openid: str, code: QRCode) -> None:
    """``SCAN`` from a follower; from anybody else ``subscribe`` with the scene prefixed."""
    user = state.user(openid)
    state.note_scan(code, openid)
    if user is not None and user.subscribed:
        state.callbacks.event(openid, "SCAN", EventKey=code.scene, Ticket=code.ticket)
        return
    state.follow(openid, scene=code.scene)
    state.callbacks.event(openid, "subscribe", EventKey=f"qrscene_{code.scene}", Ticket=code.ticket)


def follow(state: State, request: Request, openid: str) -> Response:
    """关注."""
    state.follow(openid, scene="")
    # A plain follow carries an empty EventKey.
    state.callbacks.event(openid, "subscribe", EventKey="")
    return redirect(phone_path(openid))


def unfollow(state: State, request: Request, openid: str) -> Response:
    """取消关注."""
    state.unfollow(openid)
    state.callbacks.event(openid, "unsubscribe", EventKey="")
    return redirect(phone_path(openid))


def problem(title: str, words: str, *, status: int = 400) -> Response:
    """A page that says what went wrong."""
    return page("problem.html", {"title": title, "words": words}, status=status)


def _people(state: State) -> dict[str, Any]:
    everybody = contacts(state)
    return {
        "account": state.account.name,
        "people": everybody[:PEOPLE_SHOWN],
        "more": str(max(len(everybody) - PEOPLE_SHOWN, 0) or ""),
        "any_message": state.mailbox.total > 0,
        "version": f"{state.mailbox.version}-{state.version}",
    }


def _header(state: State, openid: str) -> dict[str, Any]:
    user = state.user(openid) or User(openid, subscribed=False)
    return {
        "account": state.account.name,
        "person": contact(state, user),
        "others_unread": any(
            state.mailbox.unread(other) for other in state.mailbox.openids() if other != openid
        ),
    }


def _chat(state: State, openid: str) -> dict[str, Any]:
    version = f"{state.mailbox.counts[openid]}-{state.version}"
    messages = state.mailbox.messages(openid)
    context = _header(state, openid)
    state.mailbox.mark_read(openid)
    return {
        **context,
        "bubbles": bubbles(state, messages[-MESSAGES_SHOWN:]),
        "version": version,
    }


def _fragment(request: Request, template: str, context: dict[str, Any]) -> Response:
    if request.query.get("version") == context["version"]:
        return Response(status=204)
    headers = (("X-Version", context["version"]), ("Cache-Control", "no-store"))
    return Response(render(template, context).encode(), headers=headers)
