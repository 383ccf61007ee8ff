"""The callback address over HTTP: what is let in, what is done, and what is answered."""

import io
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.core.checks import run_checks
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.caches import cache_contents
from tests.factories import ORDER, make_binding, make_template, make_user, openid
from tests.sizes import sized
from tests.wechat_posts import (
    AES_KEY,
    OTHER_KEY,
    TOKEN,
    Post,
    event,
    post,
    receipt,
    signed,
    text_message,
)
from wechat_notify.binding.attempts import Visitor
from wechat_notify.binding.by_qrcode import show
from wechat_notify.callbacks.guard import claim_signature
from wechat_notify.models import OpenIDBinding, Receipt, SendLog
from wechat_notify.sandbox.callback_sender import signature
from wechat_notify.sandbox.sealing import COMPATIBLE, PLAIN, SAFE, unseal
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify
from wechat_notify.signals import callback_received
from wechat_notify.views import callback
from wechat_notify.views.callback import CallbackView
from wechat_notify.wechat.callback_request import Credentials
from wechat_notify.wechat.incoming import Event, Message, read_fields

pytestmark = pytest.mark.django_db

Configure = Callable[..., None]
URL = "/wechat/default/callback/"


@pytest.fixture(autouse=True)
def token(configure: Configure) -> None:
    configure(default={"CALLBACK_TOKEN": TOKEN})


@pytest.fixture
def sealed(configure: Configure) -> None:
    """The account with an EncodingAESKey."""
    configure(default={"CALLBACK_TOKEN": TOKEN, "ENCODING_AES_KEY": AES_KEY})


@pytest.fixture
def received() -> Iterator[list[Message]]:
    """What the site's receivers get."""
    got: list[Message] = []

    def receiver(sender: Any, account: str, event: Message, **kwargs: Any) -> None:
        assert account == "default"
        got.append(event)

    callback_received.connect(receiver)
    yield got
    callback_received.disconnect(receiver)


def assert_success(response: Any) -> None:
    assert (response.status_code, response.content) == (200, b"success")
    assert response["Content-Type"].startswith("text/plain")


def assert_refused(response: Any, status: int = 400) -> None:
    assert (response.status_code, response.content) == (status, b"")


# The console's check


def test_echo(client: Client) -> None:
    """The official request: echostr comes back verbatim, as text."""
    echo = "4375120948345356249"
    response = client.get(URL, {**signed(), "echostr": echo})
    assert response.content == echo.encode()
    assert response["Content-Type"].startswith("text/plain")
    assert response["X-Content-Type-Options"] == "nosniff"


def test_echo_can_be_asked_for_twice(client: Client) -> None:
    """The console may repeat its check."""
    query = {**signed(), "echostr": "1"}
    assert client.get(URL, query).content == client.get(URL, query).content == b"1"


def test_echo_needs_the_signature(client: Client) -> None:
    """A stranger gets nothing back."""
    for query in ({}, {"echostr": "x"}, {**signed(token="another"), "echostr": "<script>"}):
        assert_refused(client.get(URL, query))


def test_an_overheard_check_is_no_key(client: Client) -> None:
    """The signature of a GET, used to post a message, is refused."""
    query = {**signed(), "echostr": "1"}
    client.get(URL, query)
    assert_refused(Post(query, receipt(openid(1)).encode()).to(client))
    assert not Receipt.objects.exists()


# What is let in


@pytest.mark.parametrize("mode", [COMPATIBLE, SAFE])
@pytest.mark.usefixtures("sealed")
def test_encrypted_receipts_are_stored(client: Client, mode: str) -> None:
    """In compatible and in safe mode."""
    assert_success(post(receipt(openid(1), 9), mode=mode).to(client))
    stored = Receipt.objects.get()
    assert (stored.account, stored.openid, stored.msgid) == ("default", openid(1), 9)


def test_a_plain_receipt_is_stored_as_it_came(client: Client) -> None:
    """Raw status, WeChat's own time, no row yet."""
    at = int(time.time()) - 60
    request = post(receipt(openid(1), 9, "failed: system failed", at=at))
    assert_success(request.to(client))
    stored = Receipt.objects.get()
    assert (stored.status, stored.event_at.timestamp()) == ("failed: system failed", at)
    assert (stored.settled_at, stored.log) == (None, None)


def test_both_forms_of_the_address_work(client: Client) -> None:
    """With and without the slash at the end, no redirect: WeChat would not follow it."""
    assert reverse("wechat_notify:callback", args=["default"]) == URL
    assert_success(post(receipt(openid(1), 1)).to(client, URL))
    assert_success(post(receipt(openid(1), 2)).to(client, URL.rstrip("/")))


def test_no_csrf_token_and_no_login_is_needed(settings: Any) -> None:
    """Not even where the site demands a login everywhere."""
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert_success(post(receipt(openid(1))).to(Client(enforce_csrf_checks=True)))


@pytest.mark.parametrize("alias", ["nobody", "other"])
def test_unknown_accounts_and_those_without_a_token(client: Client, alias: str) -> None:
    """404 for both, so that nobody learns which aliases there are."""
    url = f"/wechat/{alias}/callback/"
    assert_refused(post(receipt(openid(1))).to(client, url), 404)
    assert_refused(client.get(url, {**signed(), "echostr": "1"}), 404)


@pytest.mark.parametrize("method", ["put", "patch", "delete", "head", "options", "trace"])
def test_other_methods(client: Client, method: str) -> None:
    """GET and POST only."""
    assert getattr(client, method)(URL).status_code == 405


def test_a_body_that_is_too_big(client: Client) -> None:
    """413, and nothing of it is parsed, even with a good signature."""
    request = post(text_message(openid(1), "x" * callback.MAX_BODY, 1))
    assert_refused(request.to(client), 413)
    fits = post(text_message(openid(1), "x" * (callback.MAX_BODY - 1_000), 1))
    assert_success(fits.to(client))


@pytest.mark.parametrize("announced", ["", "1", "-1", "many"])
def test_an_announced_length_is_not_believed(announced: str) -> None:
    """A body longer than its Content-Length says is counted as it is read."""
    request = RequestFactory().post(URL, b"x", content_type="text/xml")
    request.META["CONTENT_LENGTH"] = announced
    request._stream = io.BytesIO(b"x" * (callback.MAX_BODY + 1))
    assert_refused(CallbackView.as_view()(request, account="default"), 413)


FORGERIES: dict[str, Callable[[], Post]] = {
    "unsigned": lambda: Post({}, receipt("o1").encode()),
    "wrong token": lambda: Post(signed(token="another"), receipt("o1").encode()),
    "old": lambda: Post(signed(at=time.time() - 3600), receipt("o1").encode()),
    "empty": lambda: Post(signed(), b""),
    "broken": lambda: Post(signed(), b"<xml>"),
    "bomb": lambda: Post(signed(), b'<!DOCTYPE a [<!ENTITY b "c">]><xml><a>&b;</a></xml>'),
    "no message": lambda: Post(signed(), b"<xml><a>1</a></xml>"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_learn_nothing(client: Client, forgery: str, caplog: Any) -> None:
    """400 and not a word to the stranger; the reason is in the site's log, without secrets."""
    with caplog.at_level("WARNING", "wechat_notify"):
        response = FORGERIES[forgery]().to(client)
    assert_refused(response)
    assert "refused" in caplog.text
    assert TOKEN not in caplog.text
    assert not Receipt.objects.exists()


@pytest.mark.usefixtures("sealed")
def test_plain_messages_are_refused_once_there_is_a_key(client: Client) -> None:
    """Or encryption could be talked out of."""
    assert_refused(post(receipt(openid(1))).to(client))


def test_keys_are_changed_without_a_gap(client: Client, configure: Configure) -> None:
    """What was encrypted with the key before is still read."""
    configure(
        default={
            "CALLBACK_TOKEN": TOKEN,
            "ENCODING_AES_KEY": OTHER_KEY,
            "PREVIOUS_ENCODING_AES_KEY": AES_KEY,
        }
    )
    assert_success(post(receipt(openid(1), 1), mode=SAFE, key=AES_KEY).to(client))
    assert_success(post(receipt(openid(1), 2), mode=SAFE, key=OTHER_KEY).to(client))


@pytest.mark.usefixtures("sealed")
def test_a_message_for_another_app_id_is_refused(client: Client) -> None:
    """Even one that is encrypted with the same key and token."""
    assert_refused(post(receipt(openid(1)), mode=SAFE, app_id="wxanother").to(client))


# Twice


def test_the_same_request_again_is_success_and_does_nothing(
    client: Client, received: list[Message]
) -> None:
    """A replay, or a redelivery that keeps its nonce: both are told success."""
    request = post(event(openid(1), "CLICK", EventKey="menu"))
    for _ in range(3):
        assert_success(request.to(client))
    assert len(received) == 1


def test_a_redelivery_with_a_new_signature_does_nothing_either(
    client: Client, received: list[Message]
) -> None:
    """The same event, signed anew, is recognised by what it says."""
    request = post(text_message(openid(1), "hello", 5))
    for _ in range(3):
        assert_success(request.to(client))
        request = request.again()
    assert len(received) == 1


def test_a_signature_is_good_for_one_message(client: Client, received: list[Message]) -> None:
    """In plain mode it does not cover the body, so one that was overheard must not be reused."""
    request = post(event(openid(1), "CLICK", EventKey="a"))
    assert_success(request.to(client))
    forged = request.but(event(openid(2), "CLICK", EventKey="b").encode())
    assert_refused(forged.to(client))
    assert len(received) == 1


def test_a_receipt_told_twice_is_one_even_without_a_cache(client: Client) -> None:
    """The row itself is unique, whatever the cache has forgotten."""
    request = post(receipt(openid(1), 5))
    for _ in range(2):
        assert_success(request.to(client))
        caches["default"].clear()
    assert Receipt.objects.count() == 1


def test_two_receipts_of_one_second_are_two(client: Client) -> None:
    """FromUserName and CreateTime alone would make them one."""
    at = time.time()
    for msgid in (1, 2):
        assert_success(post(receipt(openid(1), msgid, at=at)).to(client))
    assert Receipt.objects.count() == 2


def test_our_own_mistake_is_a_500_and_the_next_try_counts(received: list[Message]) -> None:
    """WeChat tries again, with the same signature or another, and is not taken for a replay."""

    class Broken(CallbackView):
        def reply(self, message: Message) -> str | bytes | None:
            raise RuntimeError("a bug")

    request = post(text_message(openid(1), "hello", 5))
    with pytest.raises(RuntimeError):
        answer(request, Broken)
    assert answer(request).content == b"<xml><Content>hello</Content></xml>"
    assert len(received) == 2


def test_a_process_that_dies_before_the_row_is_written_loses_nothing(client: Client) -> None:
    """The signature was noted, the receipt was not stored: WeChat's repeat stores it."""
    request = post(receipt(openid(1), 9))

    def dies(*args: Any) -> Any:
        raise SystemExit  # as a worker ends that is told to

    with connection.execute_wrapper(dies), pytest.raises(SystemExit):
        request.to(client)
    claim_signature("default", Credentials.of(request.query), request.body)
    assert_success(request.to(client))
    assert Receipt.objects.count() == 1


def test_a_swapped_signature_is_good_for_one_message(client: Client) -> None:
    """Timestamp and nonce can change places under one signature, so only one of them may be a
    present time."""
    now = int(time.time())
    query = signed(at=now, nonce=str(now + 7))
    swapped = {**query, "timestamp": query["nonce"], "nonce": query["timestamp"]}
    for forged in (query, swapped):
        assert_refused(Post(forged, receipt(openid(1)).encode()).to(client))
    assert not Receipt.objects.exists()


def test_zeros_cannot_be_moved_under_a_signature(client: Client) -> None:
    """Between nonce and timestamp nothing separates them: the body under it stays the same."""
    timestamp = str(int(time.time()))
    query = signed(at=float(timestamp), nonce="000")
    moved = {**query, "timestamp": f"0{timestamp}", "nonce": "00"}
    assert signature(TOKEN, moved["timestamp"], moved["nonce"]) == query["signature"]
    assert_success(Post(query, receipt(openid(1), 1).encode()).to(client))
    caches["default"].clear()
    assert_refused(Post(moved, receipt(openid(2), 2).encode()).to(client))
    assert Receipt.objects.count() == 1


@pytest.mark.parametrize("backend", ["RaisingCache", "SilentCache"])
@pytest.mark.parametrize("mode", [PLAIN, SAFE])
def test_a_cache_that_is_down_costs_nothing(
    client: Client,
    settings: Any,
    configure: Configure,
    received: list[Message],
    backend: str,
    mode: str,
) -> None:
    """Receipts are stored and joined, follow events are written down, the site hears of them."""
    if mode == SAFE:
        configure(default={"CALLBACK_TOKEN": TOKEN, "ENCODING_AES_KEY": AES_KEY})
    binding = make_binding()
    notification = notify(binding, make_template(), ORDER)
    log = notification.logs.get()
    SendLog.objects.filter(pk=log.pk).update(status="sent", msgid=9, sent_at=timezone.now())
    settings.CACHES = {"default": {"BACKEND": f"tests.caches_that_fail.{backend}"}}
    assert_success(post(receipt(binding.openid, 9), mode=mode).to(client))
    assert_success(post(event(binding.openid, "unsubscribe"), mode=mode).to(client))
    log.refresh_from_db()
    binding.refresh_from_db()
    assert log.status == "delivered"
    assert not binding.subscribed
    assert [type(message) for message in received] == [Event]


def test_no_openid_and_no_token_stands_in_the_cache(client: Client) -> None:
    """Keys and values alike."""
    post(receipt(openid(1), 5)).to(client)
    stored = repr(cache_contents())
    assert "wechat_notify:callback" in stored
    assert openid(1) not in stored
    assert TOKEN not in stored


# What is done


def test_a_follower_who_leaves_and_comes_back(client: Client) -> None:
    """subscribe and unsubscribe keep the binding's mark true."""
    binding = make_binding()
    for name, expected in (("unsubscribe", False), ("subscribe", True)):
        at = time.time() + (10 if expected else 0)
        assert_success(post(event(binding.openid, name, at=at)).to(client))
        binding.refresh_from_db()
        assert binding.subscribed is expected


def test_a_late_unsubscribe_does_not_undo_a_newer_subscribe(client: Client) -> None:
    """Events are ordered by their own time, not by their arrival."""
    binding = make_binding(subscribed=False)
    now = time.time()
    post(event(binding.openid, "subscribe", at=now)).to(client)
    post(event(binding.openid, "unsubscribe", at=now - 60)).to(client)
    binding.refresh_from_db()
    assert binding.subscribed


ACTS = {
    "a message": lambda who, at: text_message(who, "在吗", 1, at=at),
    "a scan": lambda who, at: event(who, "SCAN", at=at, EventKey="poster"),
    "a menu click": lambda who, at: event(who, "CLICK", at=at, EventKey="menu"),
    "a menu link": lambda who, at: event(who, "VIEW", at=at, EventKey="https://a.example"),
    "a place": lambda who, at: event(who, "LOCATION", at=at),
}


@pytest.mark.parametrize("act", ACTS)
def test_whatever_a_person_does_says_that_they_follow(client: Client, act: str) -> None:
    """Nobody else can write or tap. So a wrong mark, such as one 40003 leaves, is taken away."""
    binding = make_binding(subscribed=False, unreachable_errcode=40003)
    post(ACTS[act](binding.openid, None)).to(client)
    binding.refresh_from_db()
    assert (binding.subscribed, binding.unreachable_errcode) == (True, None)


@pytest.mark.parametrize("act", ACTS)
def test_an_old_act_does_not_undo_newer_news(client: Client, act: str) -> None:
    """What the person did before they left, told late, changes nothing."""
    binding = make_binding()
    now = time.time()
    post(event(binding.openid, "unsubscribe", at=now)).to(client)
    post(ACTS[act](binding.openid, now - 60)).to(client)
    binding.refresh_from_db()
    assert not binding.subscribed


@pytest.mark.parametrize(
    "xml",
    [
        receipt(openid(1), 5, "failed:user block"),
        event(openid(1), "subscribe_msg_popup_event"),
        event(openid(1), "subscribe_msg_sent_event"),
    ],
)
def test_what_is_not_a_followers_act_says_nothing(client: Client, xml: str) -> None:
    """A receipt is WeChat's own news, and subscription notices reach others, too."""
    binding = make_binding(subscribed=False)
    assert_success(post(xml).to(client))
    binding.refresh_from_db()
    assert not binding.subscribed


@pytest.mark.parametrize(("name", "prefix"), [("SCAN", ""), ("subscribe", "qrscene_")])
def test_a_scanned_binding_code_binds(
    client: Client, wechat: Sandbox, configure: Configure, name: str, prefix: str
) -> None:
    """To the user who showed it, as of WeChat's own time."""
    configure(default={"CALLBACK_TOKEN": TOKEN})
    alice = make_user("alice")
    show(Visitor(alice, "default", "the browser's secret"))
    at = int(time.time()) - 5
    key = f"{prefix}{wechat.state.codes()[0].scene}"
    assert_success(post(event(openid(1), name, at=at, EventKey=key)).to(client))
    binding = OpenIDBinding.objects.get()
    assert (binding.user, binding.openid) == (alice, openid(1))
    assert int(binding.follow_changed_at.timestamp()) == at


def test_events_of_others_are_handed_to_the_site(client: Client, received: list[Message]) -> None:
    """Messages and events alike, in order; receipts have signals of their own."""
    post(text_message(openid(1), "你好", 3)).to(client)
    post(event(openid(1), "CLICK", EventKey="menu")).to(client)
    post(event(openid(1), "subscribe")).to(client)
    post(receipt(openid(1), 3)).to(client)
    assert [type(message) for message in received] == [Message, Event, Event]
    assert received[0].fields["Content"] == "你好"


def test_a_receiver_that_fails_harms_nobody(client: Client, caplog: Any) -> None:
    """What a site's receiver raises is logged; WeChat hears success."""

    def receiver(**kwargs: Any) -> None:
        raise RuntimeError("the site's bug")

    callback_received.connect(receiver)
    try:
        assert_success(post(event(openid(1), "CLICK")).to(client))
    finally:
        callback_received.disconnect(receiver)
    assert "the site's bug" in caplog.text


def test_a_database_that_is_busy_does_not_cost_the_receipt(client: Client) -> None:
    """It is stored; joining it is somebody else's turn."""

    def busy(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("database is locked")
        return execute(sql, *args)

    with connection.execute_wrapper(busy):
        assert_success(post(receipt(openid(1))).to(client))
    assert Receipt.objects.get().settled_at is None


NOT_XML = {"\x1d": "U+001D", "\x08": "U+0008", "\x00": "NUL", "\ufffe": "U+FFFE", "\x0b": "U+000B"}


@pytest.mark.parametrize("mode", [PLAIN, SAFE])
@pytest.mark.parametrize("character", NOT_XML, ids=NOT_XML.values())
def test_a_character_that_xml_forbids_is_left_out(
    client: Client, configure: Configure, received: list[Message], mode: str, character: str
) -> None:
    """People's texts have them, and WeChat passes them on."""
    if mode == SAFE:
        configure(default={"CALLBACK_TOKEN": TOKEN, "ENCODING_AES_KEY": AES_KEY})
    xml = text_message(openid(1), f"早上{character}好😀", 5)
    assert_success(post(xml, mode=mode).to(client))
    assert [message.fields["Content"] for message in received] == ["早上好😀"]


def test_a_text_that_is_cut_in_a_character(client: Client, received: list[Message]) -> None:
    """What is no UTF-8 is one unreadable character, not a message that is lost."""
    body = text_message(openid(1), "早上X好", 5).encode().replace(b"X", b"\xe5\xa5")
    assert_success(Post(signed(), body).to(client))
    assert [message.fields["Content"] for message in received] == ["早上\ufffd好"]


@pytest.mark.parametrize("digits", [40, 5_000])
@pytest.mark.parametrize("where", ["timestamp", "nonce", "CreateTime", "MsgId"])
def test_numbers_without_end(client: Client, where: str, digits: int) -> None:
    """Python reads no number of more than 4,300 digits, and no column holds one of 40."""
    number = "1" * digits
    query = signed(nonce=number) if where == "nonce" else signed()
    if where == "timestamp":
        query |= {"timestamp": number, "signature": signature(TOKEN, number, query["nonce"])}
    xml = text_message(openid(1), "x", 5)
    if where in ("CreateTime", "MsgId"):
        xml = re.sub(f"<{where}>[0-9]+", f"<{where}>{number}", xml)
    refused = where in ("timestamp", "CreateTime")
    assert Post(query, xml.encode()).to(client).status_code == (400 if refused else 200)


# Replies


class Answering(CallbackView):
    """A site's own handler."""

    def reply(self, message: Message) -> str | bytes | None:
        assert self.kwargs["account"] == "default"
        return f"<xml><Content>{message.fields.get('Content', '')}</Content></xml>"


def answer(request: Post, view: type[CallbackView] = Answering) -> Any:
    sent: HttpRequest = RequestFactory().post(
        URL, request.body, content_type="text/xml", query_params=request.query
    )
    return view.as_view()(sent, account="default")


def test_a_site_can_reply() -> None:
    """The reply's XML, plain where the message was."""
    response = answer(post(text_message(openid(1), "你好", 3)))
    assert response["Content-Type"].startswith("application/xml")
    assert response.content.decode() == "<xml><Content>你好</Content></xml>"


@pytest.mark.usefixtures("sealed")
def test_a_reply_is_encrypted_as_the_message_was() -> None:
    """WeChat can open it, and it is signed anew."""
    response = answer(post(text_message(openid(1), "你好", 3), mode=SAFE))
    fields = read_fields(response.content)
    opened = unseal(fields["Encrypt"], AES_KEY, "wx0123456789abcdef").decode()
    assert opened == "<xml><Content>你好</Content></xml>"
    assert abs(int(fields["TimeStamp"]) - time.time()) < 60


def test_a_redelivered_message_is_not_replied_to_twice() -> None:
    """The handler runs once for each message."""
    request = post(text_message(openid(1), "你好", 3))
    answer(request)
    assert_success(answer(request))


@pytest.mark.usefixtures("sealed")
def test_a_receipt_is_not_replied_to() -> None:
    """Nobody would read it."""
    assert_success(answer(post(receipt(openid(1)), mode=SAFE)))


@pytest.mark.usefixtures("sealed")
def test_encrypted_receipts_leave_nothing_in_the_cache(client: Client) -> None:
    """Their signature covers them and each is one row for ever; a storm must not fill a cache."""
    before = set(cache_contents())
    for _ in range(2):
        assert_success(post(receipt(openid(1)), mode=SAFE).to(client))
    left = set(cache_contents()) - before
    assert not [key for key in left if "callback" in key]


# With the fake WeChat


@pytest.mark.parametrize("mode", [PLAIN, COMPATIBLE, SAFE])
@pytest.mark.django_db(transaction=True)
def test_the_fake_wechat_in_every_mode(live_server: Any, configure: Configure, mode: str) -> None:
    """Over real HTTP: a follower leaves, and the binding knows."""
    binding = make_binding()
    with Sandbox(
        app_id="wx0123456789abcdef",
        callback_url=live_server.url + URL,
        callback_token=TOKEN,
        callback_mode=mode,
        encoding_aes_key=AES_KEY,
    ) as wechat:
        key = "" if mode == PLAIN else AES_KEY
        configure(default={"CALLBACK_TOKEN": TOKEN, "ENCODING_AES_KEY": key})
        wechat.event(binding.openid, "unsubscribe", EventKey="")
        assert wechat.wait_for_callbacks(60)
        assert wechat.state.callbacks.delivered == 1
    binding.refresh_from_db()
    assert not binding.subscribed


# Mutations


def mutate(data: bytes, where: int, what: int, how: int) -> bytes:
    """One byte changed, put in, or taken out, or the tail cut off."""
    at = where % (len(data) + 1)
    return (
        data[:at] + bytes([what]) + data[at + 1 :],
        data[:at] + bytes([what]) + data[at:],
        data[:at] + data[at + 1 :],
        data[:at],
    )[how]


QUERY = ("signature", "timestamp", "nonce", "msg_signature")
mutations = st.lists(
    st.tuples(
        st.sampled_from(["body", "body", *QUERY]),
        st.integers(0, 5_000),
        st.integers(0, 255),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [PLAIN, COMPATIBLE, SAFE])
def test_mutated_requests_are_never_accepted(
    mode: str, configure: Configure, received: list[Message]
) -> None:
    """Thousands in all: none is a 500, and none does anything.

    In safe mode a change outside of what is encrypted leaves the message as it was; then it is
    the same one again, and success, without anything being done twice.
    """
    configure(
        default={
            "CALLBACK_TOKEN": TOKEN,
            "ENCODING_AES_KEY": "" if mode == PLAIN else AES_KEY,
        }
    )
    binding = make_binding()
    xml = event(binding.openid, "unsubscribe", EventKey="")
    factory, view = RequestFactory(), CallbackView.as_view()
    original = post(xml, mode=mode)

    def send(request: Post) -> Any:
        sent = factory.post(URL, request.body, content_type="text/xml", query_params=request.query)
        return view(sent, account="default")

    assert send(original).content == b"success"

    @settings(max_examples=sized(110, 340))
    @given(st.lists(mutations, min_size=10, max_size=10))
    def check(batch: list[list[tuple[str, int, int, int]]]) -> None:
        for changes in batch:
            query, body = dict(original.query), original.body
            for part, where, what, how in changes:
                if part == "body":
                    body = mutate(body, where, what, how)
                elif part in query:
                    changed = mutate(query[part].encode(), where, what, how)
                    query[part] = changed.decode("latin-1")
            response = send(Post(query, body))
            if response.status_code != 400:
                assert_success(response)
                untouched = all(query[name] == original.query[name] for name in query)
                assert untouched
                assert body == original.body or mode != PLAIN

    check()
    assert len(received) == 1
    assert OpenIDBinding.objects.get(pk=binding.pk).subscribed is False


# System checks


def ids(**values: Any) -> list[str]:
    return [str(message.id) for message in run_checks(tags=["wechat_notify"])]


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({}, []),
        ({"CALLBACK_TOKEN": TOKEN, "ENCODING_AES_KEY": AES_KEY}, []),
        ({"CALLBACK_TOKEN": TOKEN, "ENCODING_AES_KEY": "short"}, ["wechat_notify.E031"]),
        ({"ENCODING_AES_KEY": AES_KEY, "CALLBACK_TOKEN": ""}, ["wechat_notify.W031"]),
        (
            {"CALLBACK_TOKEN": TOKEN, "PREVIOUS_ENCODING_AES_KEY": AES_KEY},
            ["wechat_notify.W030"],
        ),
    ],
)
def test_checks_of_the_settings(
    configure: Configure, account: dict[str, str], expected: list[str]
) -> None:
    """A key of another shape, or settings that do nothing alone."""
    configure(default=account)
    assert ids() == expected
