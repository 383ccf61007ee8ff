"""Verifying and reading callbacks: signatures, encryption in all modes, and hostile XML."""

import base64
import re
from datetime import datetime, timezone

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wechat_posts import (
    AES_KEY,
    APP_ID,
    OTHER_KEY,
    TOKEN,
    Post,
    event,
    post,
    receipt,
    signed,
    text_message,
)
from wechat_notify.exceptions import CallbackRefused, ConfigurationError
from wechat_notify.sandbox.sealing import COMPATIBLE, SAFE, msg_signature, seal, unseal
from wechat_notify.wechat import incoming
from wechat_notify.wechat.callback_request import (
    WINDOW,
    CallbackVerifier,
    Credentials,
    Opened,
    sign,
)
from wechat_notify.wechat.incoming import Event, Message, parse
from wechat_notify.wechat.message_crypto import MessageCrypto

OPENID = "oia2TjuEGTNoeX76QEjQNrcURxG8"

# The sample that comes with the platform's own decryption code, as WeChat encrypted it.
SAMPLE_APP_ID = "wx2c2769f8efd9abc2"
SAMPLE_TIMESTAMP, SAMPLE_NONCE = "1409735669", "1320562132"
SAMPLE_SIGNATURE = "5d197aaffba7e9b25a30732f161a50dee96bd5fa"
SAMPLE = (
    "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PG"
    "HQHFVAFmOD2LdJF9FrXpbUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6"
    "tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlpKn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp"
    "3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhv"
    "Ql+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
)
# The same key and app id, encrypted by wechatpy 1.8.18.
BY_WECHATPY = {
    "": "JeOyXYMDaQLnQd7OxPQN7aTzR710ZrpdBa/B+1cS5ng9lwDpXbojtnLl1GOe4xpxbRIc7QduEQeQcRVDZS/edQ==",
    "a": "dzI63dO4rlvCodsoj/Tf2a2b5Kq61D3sFH6BzFUJCGy0dOIN6gWtPRb3NZy/cMRgvtAlnEn5LDV7m+x9DM4SBQ==",
    "微信" * 7 + "x": (
        "sILMGmXnoqRQwMFVAyAakYigLpM9TftwwoE68T0tDbSpDnQmx/6dBOuci9aBhkgRmABboDe7Wi3j6B2o22Z3G6OO"
        "zC4R7g4kkeRWrP/xkjaHDv7kp1QRycHEv627fWc/"
    ),
}


def verifier(key: str = "", previous: str = "", app_id: str = APP_ID) -> CallbackVerifier:
    return CallbackVerifier(
        token=TOKEN,
        app_id=app_id,
        encoding_aes_key=key,
        previous_encoding_aes_key=previous,
    )


def opened(request: Post, **keys: str) -> Opened:
    credentials = Credentials.of(request.query)
    return verifier(**keys).open(credentials, request.body, now=datetime.now(timezone.utc))


def test_the_official_signature() -> None:
    """The vector of the platform's own page (docs/wechat-api.md, 5)."""
    expected = "f464b24fc39322e44b38aa78f5edd27bd1441696"
    assert sign("AAAAA", "1714036504", "1514711492") == expected


def test_the_official_encrypted_sample() -> None:
    """The platform's own sample verifies and decrypts."""
    assert sign(TOKEN, SAMPLE_TIMESTAMP, SAMPLE_NONCE, SAMPLE) == SAMPLE_SIGNATURE
    message = parse(MessageCrypto(AES_KEY, SAMPLE_APP_ID).decrypt(SAMPLE))
    assert (message.type, message.fields["Content"]) == ("text", "abcdteT")
    assert message.msgid == 6054768590064713728
    assert message.from_openid == "oyORnuP8q7ou2gfYjqLzSIWZf0rs"
    assert message.created_at == datetime.fromtimestamp(1409735668, timezone.utc)


@pytest.mark.parametrize("text", BY_WECHATPY)
def test_what_another_library_encrypted(text: str) -> None:
    """Vectors from outside this project decrypt, the empty message too."""
    assert MessageCrypto(AES_KEY, SAMPLE_APP_ID).decrypt(BY_WECHATPY[text]) == text.encode()


@pytest.mark.parametrize("length", range(70))
def test_both_ways_with_another_library(length: int) -> None:
    """Any length, over both ends of a block: each reads what the other wrote."""
    wechatpy = pytest.importorskip("wechatpy.crypto")
    theirs = wechatpy.PrpCrypto(base64.b64decode(AES_KEY + "="))
    ours = MessageCrypto(AES_KEY, APP_ID)
    text = "x" * length
    assert theirs.decrypt(ours.encrypt(text.encode()), APP_ID) == text
    assert ours.decrypt(theirs.encrypt(text, APP_ID).decode()) == text.encode()


@pytest.mark.parametrize("length", range(70))
def test_both_ways_with_the_fake(length: int) -> None:
    """The fake WeChat's own implementation agrees as well."""
    message = b"y" * length
    crypto = MessageCrypto(AES_KEY, APP_ID)
    assert crypto.decrypt(seal(message, AES_KEY, APP_ID)) == message
    assert unseal(crypto.encrypt(message), AES_KEY, APP_ID) == message


def test_encrypting_twice_differs() -> None:
    """Sixteen random bytes come first, so equal messages do not look equal."""
    crypto = MessageCrypto(AES_KEY, APP_ID)
    assert crypto.encrypt(b"same") != crypto.encrypt(b"same")


@pytest.mark.parametrize(
    "encrypted",
    [
        pytest.param("not base64!", id="no base64"),
        pytest.param("", id="empty"),
        pytest.param(base64.b64encode(b"x" * 15).decode(), id="no whole block"),
        pytest.param(base64.b64encode(b"x" * 64).decode(), id="random blocks"),
        pytest.param(seal(b"message", AES_KEY, "wxanother"), id="another app id"),
        pytest.param(seal(b"message", OTHER_KEY, APP_ID), id="another key"),
    ],
)
def test_what_cannot_be_decrypted_is_refused(encrypted: str) -> None:
    """Always with the same exception, whatever is wrong."""
    with pytest.raises(CallbackRefused):
        MessageCrypto(AES_KEY, APP_ID).decrypt(encrypted)


def encrypted_blocks(plain: bytes) -> str:
    """Any blocks of 16 bytes under the account's key, padded by nobody."""
    key = base64.b64decode(AES_KEY + "=")
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


@pytest.mark.parametrize(
    "padding", [b"\x00" * 32, b"z" * 15 + b"\x21" * 33, b"z" * 14 + b"\x01\x02", b"\x40" * 64]
)
def test_bad_padding_is_refused(padding: bytes) -> None:
    """A count of 1 to 32 that stands in all of its bytes, and nothing else."""
    with pytest.raises(CallbackRefused, match="padded"):
        MessageCrypto(AES_KEY, APP_ID).decrypt(encrypted_blocks(b"z" * 32 + padding))


def test_a_message_that_is_only_padding_is_refused() -> None:
    """Too short to hold even its own length."""
    with pytest.raises(CallbackRefused, match="too short"):
        MessageCrypto(AES_KEY, APP_ID).decrypt(encrypted_blocks(b"\x20" * 32))


@pytest.mark.parametrize("key", ["short", AES_KEY + "A", AES_KEY[:-1] + "-", ""])
def test_a_key_of_another_shape_is_a_configuration_error(key: str) -> None:
    """43 letters and digits; the text does not show what was given."""
    with pytest.raises(ConfigurationError, match="43 letters") as caught:
        MessageCrypto(key, APP_ID)
    assert not key or key not in str(caught.value)


# Opening


def test_plain_mode() -> None:
    """The body is what it is, once the signature is right."""
    request = post(receipt(OPENID))
    assert opened(request) == Opened(request.body, encrypted=False)


@pytest.mark.parametrize("mode", [COMPATIBLE, SAFE])
def test_encrypted_modes(mode: str) -> None:
    """What was encrypted comes out."""
    xml = receipt(OPENID)
    assert opened(post(xml, mode=mode), key=AES_KEY) == Opened(xml.encode(), encrypted=True)


def test_compatible_mode_without_a_key_reads_the_plain_fields() -> None:
    """A site that has no key yet understands what is written beside the encrypted copy."""
    result = opened(post(receipt(OPENID), mode=COMPATIBLE))
    assert not result.encrypted
    assert parse(result.xml).from_openid == OPENID


def test_compatible_mode_with_a_key_trusts_only_what_is_encrypted() -> None:
    """The plain fields could be anybody's: the signature does not cover them."""
    request = post(receipt(OPENID), mode=COMPATIBLE)
    forged = request.but(body=request.body.replace(OPENID.encode(), b"oSomebodyElse"))
    assert parse(opened(forged, key=AES_KEY).xml).from_openid == OPENID


def test_with_a_key_a_plain_message_is_refused() -> None:
    """Or an overheard signature would open the door to any body."""
    with pytest.raises(CallbackRefused, match="not encrypted"):
        opened(post(receipt(OPENID)), key=AES_KEY)


def test_safe_mode_without_a_key_cannot_be_read() -> None:
    """The envelope alone says nothing about anybody."""
    with pytest.raises(CallbackRefused):
        parse(opened(post(receipt(OPENID), mode=SAFE)).xml)


def test_the_previous_key_still_opens() -> None:
    """After a change of the key in the console, what was encrypted before is read."""
    request = post(receipt(OPENID), mode=SAFE, key=OTHER_KEY)
    assert opened(request, key=AES_KEY, previous=OTHER_KEY).encrypted
    with pytest.raises(CallbackRefused):
        opened(request, key=AES_KEY)


def test_a_previous_key_alone_changes_nothing() -> None:
    """Encryption is on where there is a current key."""
    request = post(receipt(OPENID))
    assert not opened(request, previous=OTHER_KEY).encrypted


@pytest.mark.parametrize("parameter", ["signature", "timestamp", "nonce", "msg_signature"])
def test_every_parameter_counts(parameter: str) -> None:
    """Changed, missing or absurd: refused."""
    request = post(receipt(OPENID), mode=SAFE)
    for value in ("1" + request.query[parameter][1:] + "0", "", "9" * 129, "签"):
        with pytest.raises(CallbackRefused):
            opened(request.but(**{parameter: value}), key=AES_KEY)


def test_the_plain_signature_is_needed_in_safe_mode_too() -> None:
    """msg_signature alone does not open."""
    request = post(receipt(OPENID), mode=SAFE)
    with pytest.raises(CallbackRefused, match="signature"):
        opened(request.but(signature="0" * 40), key=AES_KEY)


def test_another_token_does_not_open() -> None:
    """The token is the secret that it all hangs on."""
    request = Post(signed(token="another"), receipt(OPENID).encode())
    with pytest.raises(CallbackRefused, match="signature"):
        opened(request)


@pytest.mark.parametrize("direction", [-1, 1])
def test_old_and_future_signatures_are_refused(direction: int) -> None:
    """Five minutes either way, for clocks that differ; not one second more."""
    now = datetime.now(timezone.utc)
    at = now.timestamp() + direction * WINDOW.total_seconds()
    body = receipt(OPENID).encode()
    inside = Credentials.of(signed(at=int(at - direction)))
    assert verifier().open(inside, body, now=now).xml == body
    with pytest.raises(CallbackRefused, match="five minutes"):
        verifier().open(Credentials.of(signed(at=int(at + 2 * direction))), body, now=now)


def test_a_reply_can_be_read_by_wechat() -> None:
    """The envelope has all four elements, signed over the encrypted reply."""
    sealed = verifier(AES_KEY).seal("<xml>你好</xml>".encode(), timestamp="1409735669", nonce="7")
    fields = incoming.read_fields(sealed.encode())
    assert set(fields) == {"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
    expected = msg_signature(TOKEN, "1409735669", "7", fields["Encrypt"])
    assert fields["MsgSignature"] == expected
    assert unseal(fields["Encrypt"], AES_KEY, APP_ID).decode() == "<xml>你好</xml>"


def test_a_reply_can_be_read_by_another_library() -> None:
    """wechatpy opens the envelope as WeChat would."""
    wechatpy = pytest.importorskip("wechatpy.crypto")
    sealed = verifier(AES_KEY).seal(b"<xml>hi</xml>", timestamp="1409735669", nonce="7")
    signature = incoming.read_fields(sealed.encode())["MsgSignature"]
    theirs = wechatpy.WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    assert theirs.decrypt_message(sealed, signature, "1409735669", "7") == "<xml>hi</xml>"


def test_nothing_shows_a_secret_or_an_openid() -> None:
    """Neither key, token, signature nor openid stands in a repr."""
    request = post(event(OPENID, "SCAN", EventKey="k", Ticket="TICKET"), mode=SAFE)
    credentials = Credentials.of(request.query)
    message = parse(opened(request, key=AES_KEY).xml)
    shown = repr([verifier(AES_KEY), MessageCrypto(AES_KEY, APP_ID), credentials, message])
    shown += repr(opened(request, key=AES_KEY))
    for secret in (AES_KEY, TOKEN, OPENID, "TICKET", request.query["signature"]):
        assert secret not in shown


# Reading


def test_a_receipt() -> None:
    """The official sample's fields, MsgID with a capital D."""
    message = parse(receipt(OPENID, 200163836, "failed: system failed", at=1395658920).encode())
    assert isinstance(message, Event)
    assert message.event == "templatesendjobfinish"
    assert message.from_openid == OPENID
    assert message.msgid == 200163836
    assert message.status == "failed: system failed"
    assert message.created_at == datetime(2014, 3, 24, 11, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("name", "key", "scene"),
    [
        ("subscribe", "qrscene_123123", "123123"),
        ("subscribe", "", ""),
        ("subscribe", "last_trade_no_400", ""),
        ("SCAN", "qrscene_odd", "qrscene_odd"),
        ("SCAN", "bind-1", "bind-1"),
        ("CLICK", "menu", ""),
    ],
)
def test_scenes(name: str, key: str, scene: str) -> None:
    """Only a newcomer's prefix is taken off, and only where a code was scanned."""
    message = parse(event(OPENID, name, EventKey=key).encode())
    assert isinstance(message, Event)
    assert (message.event_key, message.scene) == (key, scene)


def test_an_ordinary_message() -> None:
    """A text is a Message and no Event; its own fields are all there."""
    message = parse(text_message(OPENID, "你好", 7).encode())
    assert type(message) is Message
    assert (message.type, message.msgid, message.fields["Content"]) == ("text", 7, "你好")
    with pytest.raises(TypeError):
        message.fields["Content"] = "changed"


def test_nested_and_repeated_elements() -> None:
    """Children become mappings, repeated names a list (docs/wechat-api.md, 8 has such events)."""
    xml = event(OPENID, "subscribe_msg_popup_event").replace(
        "</xml>",
        "<Popup><List><Id>1</Id></List><List><Id>2</Id></List><List><Id>3</Id></List></Popup></xml>",
    )
    expected = {"List": [{"Id": "1"}, {"Id": "2"}, {"Id": "3"}]}
    assert parse(xml.encode()).fields["Popup"] == expected


@pytest.mark.parametrize("msgid", ["", "x", "-5", "9" * 30, str(2**63), "١٢", "<a>1</a>"])
def test_a_msgid_that_is_none_is_zero(msgid: str) -> None:
    """As WeChat writes 0 itself: the receipt is joined by the rest of it."""
    xml = receipt(OPENID, 77).replace("<MsgID>77</MsgID>", f"<MsgID>{msgid}</MsgID>")
    assert parse(xml.encode()).msgid == 0


def test_the_largest_msgid() -> None:
    """Message ids have 64 bits."""
    assert parse(receipt(OPENID, 2**63 - 1).encode()).msgid == 2**63 - 1


def refused(xml: str | bytes) -> None:
    with pytest.raises(CallbackRefused):
        parse(xml if isinstance(xml, bytes) else xml.encode())


@pytest.mark.parametrize("missing", ["FromUserName", "CreateTime", "MsgType"])
def test_what_every_message_has_is_required(missing: str) -> None:
    """Without it nobody can say whom or what it is about."""
    refused(re.sub(f"<{missing}>.*?</{missing}>", "", receipt(OPENID)))


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no xml",
        "<xml>",
        "<xml></xml>",
        "<xml>text</xml>",
        '{"FromUserName": "o1"}',
        "<xml/><xml/>",
        b"\xff\xfe<\x00x\x00m\x00l\x00/\x00>\x00",
        b"<xml>\xff</xml>",
    ],
)
def test_what_is_no_message_is_refused(xml: str | bytes) -> None:
    """Anything but one element with elements inside, in UTF-8."""
    refused(xml)


def test_an_overlong_openid_is_refused() -> None:
    """It would not fit where openids are kept."""
    refused(receipt("o" * 65))


@pytest.mark.parametrize("seconds", ["0", "253402300800", str(10**18), "-1", "now"])
def test_an_impossible_time_is_refused(seconds: str) -> None:
    """No moment that a date could hold."""
    refused(
        re.sub("<CreateTime>.*?<", f"<CreateTime>{seconds}<", receipt(OPENID)),
    )


BOMBS = {
    "billion laughs": (
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
        "<xml><FromUserName>&c;</FromUserName></xml>"
    ),
    "external entity": (
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        "<xml><FromUserName>&a;</FromUserName></xml>"
    ),
    "external dtd": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><xml><a>1</a></xml>',
    "plain dtd": "<!DOCTYPE xml><xml><a>1</a></xml>",
    "unknown entity": "<xml><FromUserName>&nobody;</FromUserName></xml>",
    "nesting": "<xml>" + "<a>" * 100 + "</a>" * 100 + "</xml>",
    "depth": "<xml>" + "<a>" * 40_000 + "</a>" * 40_000 + "</xml>",
    "number": "<xml>" + "<a/>" * 30_000 + "</xml>",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_xml_bombs_are_harmless(bomb: str) -> None:
    """Refused, whatever they would expand to or fetch, even inside a whole message."""
    refused(BOMBS[bomb])
    head, _, rest = BOMBS[bomb].partition("<xml>")
    refused(head + "<xml>" + receipt(OPENID)[5:-6] + rest)


def test_a_claimed_encoding_changes_nothing() -> None:
    """The body is UTF-8, whatever its XML declaration says."""
    declared = '<?xml version="1.0" encoding="utf-16"?>' + text_message(OPENID, "你好", 1)
    assert parse(declared.encode()).fields["Content"] == "你好"


def test_the_same_message_has_the_same_identity_and_others_have_not() -> None:
    """Two receipts in one second for one person are two."""
    messages = [
        receipt(OPENID, 1, at=1395658920),
        receipt(OPENID, 2, at=1395658920),
        receipt("oSomebodyElse", 1, at=1395658920),
        receipt(OPENID, 1, at=1395658921),
        event(OPENID, "SCAN", at=1395658920, EventKey="a"),
        event(OPENID, "SCAN", at=1395658920, EventKey="b"),
        event(OPENID, "subscribe", at=1395658920),
        text_message(OPENID, "a", 1, at=1395658920),
        text_message(OPENID, "a", 2, at=1395658920),
    ]
    identities = [parse(xml.encode()).identity for xml in messages]
    assert identities == [parse(xml.encode()).identity for xml in messages]
    assert len(set(identities)) == len(messages)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode())))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing else ever comes out of reading a body."""
    for wrapped in (body, b"<xml>" + body + b"</xml>"):
        try:
            parse(wrapped)
        except CallbackRefused:
            continue
