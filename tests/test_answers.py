"""What an answer says, however slow, large or odd it is."""

import gzip
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
import responses
from requests.exceptions import ContentDecodingError

from tests.raw_http import (
    CERTIFICATE,
    OK,
    SEND,
    Drip,
    ask,
    failure,
    send_once,
    tcp_server,
)
from wechat_notify.wechat.transport import Transport

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"ok", b"[]", b"\xff\xfe", b'{"errcode": "x"}', b"null"),
        b'{"errcode": 1e999}',
        b'{"errcode": NaN}',
        b'{"errcode": 9999999999}',
        b'{"errcode": ' + b"9" * 5000 + b"}",
        b'{"errcode": 0, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda answer: answer[:20].decode("latin-1"),
)
def test_unreadable_answer_may_have_been_sent(answer: bytes) -> None:
    """HTTP 200 with anything but a JSON object says nothing about the message."""
    with responses.RequestsMock() as mock:
        mock.post(f"http://wechat.invalid{SEND}", body=answer)
        error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status) == (True, 200)


def test_answer_that_cannot_be_decoded_may_have_been_sent() -> None:
    """A body that is not in the encoding it claims came after the request left."""
    with responses.RequestsMock() as mock:
        mock.post(f"http://wechat.invalid{SEND}", body=ContentDecodingError("gzip"))
        assert failure("http://wechat.invalid").maybe_sent


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n" * 20


@pytest.mark.parametrize(
    ("answer", "begin"),
    [
        (OK, 0),
        (OK, OK.index(b"\r\n") + 4),
        (OK.replace(b": 13", b": 40") + b" " * 27, OK.index(b"{")),
        (CHUNKED, CHUNKED.index(b"{")),
    ],
    ids=["status line", "headers", "body", "chunks"],
)
def test_answer_that_drips_is_given_up_in_time(answer: bytes, begin: int) -> None:
    """However slowly an answer comes, the read timeout is for all of it; it may have been sent."""
    dripping = Drip(answer, begin)
    with tcp_server(dripping) as port:
        error = failure(f"http://127.0.0.1:{port}", timeout=(20, 0.5))
    assert not dripping.finished
    assert (error.maybe_sent, error.status) == (True, None)
    assert str(error) == "No answer from WeChat: it did not come in time."


def test_answer_that_drips_over_tls_is_given_up_in_time() -> None:
    """The same, one TLS record for each byte."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)

    dripping = Drip(OK)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            dripping(secured)

    with tcp_server(talk) as port:
        error = failure(f"https://localhost:{port}", timeout=(20, 0.5), ca_bundle=str(CERTIFICATE))
    assert not dripping.finished
    assert error.maybe_sent


def test_slow_answer_leaves_the_next_one_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a connection that is kept, each answer has the read timeout for itself."""
    clock, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock() + passed[0])

    def talk(connection: socket.socket) -> None:
        for _ in range(3):
            connection.recv(65536)
            passed[0] += 200
            connection.sendall(OK[:40])
            passed[0] += 200
            connection.sendall(OK[40:])

    with tcp_server(talk) as port:
        transport = Transport(f"http://127.0.0.1:{port}", timeout=(600, 600))
        assert [send_once(transport) for _ in range(3)] == [{"errcode": 0}] * 3
        transport.close()


HUGE = 32 * 1024 * 1024


def answering(body: bytes, headers: bytes = b"") -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n")
            connection.sendall(body)

    return talk


@pytest.mark.parametrize(
    ("packed", "headers"),
    [
        (gzip.compress, b"Content-Encoding: gzip\r\n"),
        (zlib.compress, b"Content-Encoding: deflate\r\n"),
        (bytes, b""),
        (bytes, b"Content-Length: %d\r\n" % HUGE),
    ],
    ids=["gzip", "deflate", "without end", "with its length"],
)
def test_answer_that_is_too_large_is_not_read(
    packed: Callable[[bytes], bytes], headers: bytes
) -> None:
    """It may have been sent, and takes little more memory than the largest answer allowed."""
    body = packed(b" " * HUGE)
    tracemalloc.start()
    with tcp_server(answering(body, headers)) as port:
        error = failure(f"http://127.0.0.1:{port}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (error.maybe_sent, str(error)) == (True, "WeChat's answer is too large.")
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_compressed_answer_is_read(compress: Callable[[bytes], bytes]) -> None:
    """A gateway may compress answers though nobody asked for it."""
    body = compress(b'{"errcode": 0}')
    with tcp_server(answering(body, b"Content-Encoding: gzip\r\n")) as port:
        assert ask(f"http://127.0.0.1:{port}") == {"errcode": 0}


@pytest.mark.parametrize("encoding", [b"gzip", b"br"])
def test_answer_that_is_not_what_it_says_cannot_be_read(encoding: bytes) -> None:
    """A body in another encoding than it claims, or in one that nobody asked for."""
    talk = answering(b"no gzip", b"Content-Encoding: " + encoding + b"\r\n")
    with tcp_server(talk) as port:
        assert failure(f"http://127.0.0.1:{port}").maybe_sent


# Answered by somebody else.


@pytest.mark.parametrize("status", [500, 502, 504, 520])
def test_a_servers_error_page_may_have_been_sent(status: int) -> None:
    """What broke may have broken after the message was taken."""
    with responses.RequestsMock() as mock:
        mock.post(f"http://wechat.invalid{SEND}", status=status, body="<html>")
        error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status, str(error)) == (True, status, f"HTTP {status}")


@pytest.mark.parametrize("status", [400, 403, 404, 429, 503])
def test_other_statuses_are_refusals(status: int) -> None:
    """An error page is a plain no."""
    with responses.RequestsMock() as mock:
        mock.post(f"http://wechat.invalid{SEND}", status=status, body="<html>")
        error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status, str(error)) == (False, status, f"HTTP {status}")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (301, "redirects"),
        (302, "redirects"),
        (307, "redirects"),
        (401, "asks for a user name and password"),
        (407, "the proxy asks for a user name and password"),
        (511, "asks for a sign-in"),
    ],
)
def test_what_only_a_proxy_answers_is_named(status: int, words: str) -> None:
    """WeChat redirects nobody and knows no password: a proxy answered, and nothing was sent."""
    with responses.RequestsMock() as mock:
        headers = {"Location": "http://elsewhere.invalid/"} if status < 400 else {}
        mock.post(f"http://wechat.invalid{SEND}", status=status, body="<html>", headers=headers)
        error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status) == (False, status)
    assert str(error).startswith(f"HTTP {status}: ")
    assert words in str(error)


def test_redirect_to_nonsense_is_an_error() -> None:
    """A redirect whose address cannot even be read raises nothing but our own error."""
    with responses.RequestsMock() as mock:
        headers = {"Location": "http://[broken"}
        mock.post(f"http://wechat.invalid{SEND}", status=302, headers=headers)
        failure("http://wechat.invalid")


# Answered.


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "text/html; charset=gbk"]
)
def test_json_is_read_whatever_its_type(content_type: str) -> None:
    """The body is UTF-8 JSON whatever the Content-Type says."""
    with responses.RequestsMock() as mock:
        body = '{"errcode": "0", "errmsg": "好"}'.encode()
        mock.post(f"http://wechat.invalid{SEND}", body=body, content_type=content_type)
        assert ask("http://wechat.invalid") == {"errcode": 0, "errmsg": "好"}


def test_errcode_counts_whatever_the_status() -> None:
    """An errcode beside an error status is still WeChat's word."""
    with responses.RequestsMock() as mock:
        mock.post(f"http://wechat.invalid{SEND}", status=412, json={"errcode": 45011})
        assert ask("http://wechat.invalid") == {"errcode": 45011}


def test_success_beside_an_error_status_does_not_count() -> None:
    """errcode 0 beside an error status is not believed."""
    with responses.RequestsMock() as mock:
        mock.post(f"http://wechat.invalid{SEND}", status=500, json={"errcode": 0, "msgid": 1})
        assert failure("http://wechat.invalid").status == 500
