"""Every way a request can end is told apart, and nothing secret comes out of any of them."""

import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import responses
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ContentDecodingError
from urllib3.exceptions import ClosedPoolError

from wechat_notify.exceptions import InvalidSettings, TransportError
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.wechat.transport import Transport

SEND = "/cgi-bin/message/template/send"
TIMEOUT = (5, 5)
# For localhost and 127.0.0.1, signed by itself.
CERTIFICATE = Path(__file__).parent / "localhost.pem"
SECRET = "TOKEN-NOBODY-MAY-SEE"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxy settings do not matter here."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)


@pytest.fixture
def secure() -> Iterator[Sandbox]:
    """A fake WeChat over TLS, whose certificate nobody trusts who was not told to."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    with Sandbox(ssl_context=context) as running:
        yield running


def ask(base: str, **options: Any) -> dict[str, Any]:
    """One POST to the send endpoint, with a token in the query as WeChat wants it."""
    transport = Transport(base, **{"timeout": TIMEOUT, **options})
    try:
        request = transport.prepare("POST", SEND, params={"access_token": SECRET}, body=b"{}")
        return transport.send(request)
    finally:
        transport.close()


def failure(base: str, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        ask(base, **options)
    error = caught.value
    assert SECRET not in f"{error!r} {error}"
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


@contextmanager
def tcp_server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does ``talk`` with its one client; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# Never left.


def test_refused_connection_is_not_sent() -> None:
    """Nobody listens: the message cannot have left."""
    error = failure(f"http://127.0.0.1:{free_port()}")
    assert (error.maybe_sent, error.status) == (False, None)
    assert "refused" in str(error)


def test_unknown_host_is_not_sent() -> None:
    """A name that does not resolve: the message cannot have left."""
    error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status) == (False, None)


def test_connect_timeout_is_not_sent() -> None:
    """A host that does not take the connection in time: the message cannot have left."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        error = failure(f"http://127.0.0.1:{port}", timeout=(0.2, 5))
        for client in waiting:
            client.close()
    assert (error.maybe_sent, error.status) == (False, None)


def test_untrusted_certificate_is_not_sent(secure: Sandbox) -> None:
    """A certificate nobody vouches for ends the handshake, and nothing is sent."""
    error = failure(secure.url)
    assert (error.maybe_sent, error.status) == (False, None)
    assert not secure.calls


def test_failed_handshake_is_not_sent() -> None:
    """A server that speaks no TLS: nothing is sent."""
    with tcp_server(lambda connection: connection.sendall(b"HTTP/1.1 400\r\n\r\n")) as port:
        error = failure(f"https://127.0.0.1:{port}")
    assert (error.maybe_sent, error.status) == (False, None)


def test_handshake_that_hangs_is_not_sent() -> None:
    """A handshake that takes too long is no lost answer: nothing was sent."""
    done = threading.Event()
    with tcp_server(lambda connection: bool(done.wait(5))) as port:
        error = failure(f"https://127.0.0.1:{port}", timeout=(0.2, 0.2))
        done.set()
    assert (error.maybe_sent, error.status) == (False, None)


def test_proxy_out_of_reach_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the environment does not answer: the message cannot have left."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status) == (False, None)


def test_proxy_that_refuses_the_tunnel_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that lets no tunnel through: the message cannot have left."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with tcp_server(refuse) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = failure("https://wechat.invalid")
    assert (error.maybe_sent, error.status) == (False, None)


def test_malformed_proxy_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy setting that is no address: the message cannot have left."""
    monkeypatch.setenv("HTTP_PROXY", "http:///nowhere")
    assert not failure("http://wechat.invalid").maybe_sent


@responses.activate
def test_closed_pool_is_not_sent() -> None:
    """A pool closed by another thread gives no connection, so nothing left."""
    pool: Any = None
    error = ClosedPoolError(pool, "Pool is closed.")
    responses.post(f"http://wechat.invalid{SEND}", body=RequestsConnectionError(error))
    assert not failure("http://wechat.invalid").maybe_sent


# May have arrived.


@pytest.mark.parametrize(
    ("trouble", "options"),
    [
        ("stall", {"seconds": 2}),
        ("reset", {}),
        ("truncate", {}),
        ("truncate", {"cut_connection": False}),
        ("http_error", {"status": 504}),
    ],
)
def test_lost_answer_may_have_been_sent(trouble: str, options: dict[str, Any]) -> None:
    """A request that left and whose answer was lost or broken may have been carried out."""
    with Sandbox() as wechat:
        getattr(wechat, trouble)(**options)
        assert failure(wechat.url, timeout=(5, 0.5 if trouble == "stall" else 5)).maybe_sent


@pytest.mark.parametrize("answer", [b"", b"ok", b"[]", b"\xff\xfe", b'{"errcode": "x"}', b"null"])
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


# Answered by somebody else.


@pytest.mark.parametrize("status", [500, 502, 504, 520])
def test_a_servers_error_page_may_have_been_sent(status: int) -> None:
    """What broke may have broken after the message was taken."""
    with responses.RequestsMock() as mock:
        mock.post(f"http://wechat.invalid{SEND}", status=status, body="<html>")
        error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status, str(error)) == (True, status, f"HTTP {status}")


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 429, 503])
def test_other_statuses_are_refusals(status: int) -> None:
    """An error page, or a redirect, is a plain no; redirects are not followed."""
    with responses.RequestsMock() as mock:
        headers = {"Location": "http://elsewhere.invalid/"} if status < 400 else {}
        mock.post(f"http://wechat.invalid{SEND}", status=status, body="<html>", headers=headers)
        error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status, str(error)) == (False, status, f"HTTP {status}")


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


# How it is done.


def test_no_cookie_is_kept() -> None:
    """What one answer sets, the next request does not bring."""
    with responses.RequestsMock() as mock:
        mock.get("http://wechat.invalid/x", json={}, headers={"Set-Cookie": "a=1"})
        transport = Transport("http://wechat.invalid")
        for _ in range(2):
            transport.send(transport.prepare("GET", "/x"))
        assert all("Cookie" not in call.request.headers for call in mock.calls)


def test_a_request_is_written_at_once(wechat: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Head and body leave together: one system call, one packet."""
    written = []
    write = socket.socket.sendall

    def noted(self: socket.socket, data: bytes) -> None:
        written.append(bytes(data))
        write(self, data)

    monkeypatch.setattr(socket.socket, "sendall", noted)
    ask(wechat.url)
    (request,) = (data for data in written if data.startswith(b"POST "))
    assert request.endswith(b"\r\n\r\n{}")


def test_connections_are_as_many_as_threads_and_reused() -> None:
    """Eight threads open eight connections at most, however much they send."""
    with Sandbox() as wechat:
        transport = Transport(wechat.url, pool_size=8)
        request = transport.prepare("POST", SEND, params={"access_token": "x"}, body=b"{}")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: transport.send(request.copy()), range(400)))
        assert {answer["errcode"] for answer in answers} == {40001}
        assert wechat.connections <= 8
        transport.close()


def test_environment_ca_bundle_is_honoured(
    secure: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE names the certificates to trust, as it does for requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    assert ask(secure.url)["errcode"] == 40001


def test_given_ca_bundle_goes_before_the_environment(
    secure: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CA bundle given by name is used whatever the environment says."""
    monkeypatch.setenv("CURL_CA_BUNDLE", "/nowhere")
    assert ask(secure.url, ca_bundle=str(CERTIFICATE))["errcode"] == 40001


def test_ca_directory_is_honoured(secure: Sandbox, tmp_path: Path) -> None:
    """A directory of hashed certificates works as a bundle does."""
    # The name that "openssl x509 -hash" gives to a certificate for CN=localhost.
    (tmp_path / "ce275665.0").write_bytes(CERTIFICATE.read_bytes())
    assert ask(secure.url, ca_bundle=str(tmp_path))["errcode"] == 40001


def test_one_context_serves_every_connection(
    secure: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CA bundle is read once, not at every connection."""
    transport = Transport(secure.url, ca_bundle=str(CERTIFICATE), pool_size=4)
    read: list[Any] = []
    load = ssl.SSLContext.load_verify_locations
    monkeypatch.setattr(
        ssl.SSLContext,
        "load_verify_locations",
        lambda *args, **options: (read.append(args), load(*args, **options)),
    )
    request = transport.prepare("POST", SEND, body=b"{}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: transport.send(request.copy()), range(40)))
    assert 1 <= secure.connections <= 4
    assert read == []
    transport.close()


def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for WeChat goes to the proxy that HTTP_PROXY names, with its whole address."""
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + b'{"errcode":0}')

    with tcp_server(answer) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        assert ask("http://wechat.invalid") == {"errcode": 0}
    assert seen[0].startswith(b"POST http://wechat.invalid/cgi-bin/message/template/send?")


def test_socks_proxy_without_its_library_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy out of reach, or without PySocks, is no connection."""
    monkeypatch.setenv("HTTP_PROXY", f"socks5://127.0.0.1:{free_port()}")
    assert not failure("http://wechat.invalid").maybe_sent


@pytest.mark.parametrize(
    "base", ["", "api.weixin.qq.com", "ftp://api.weixin.qq.com", "https://", "http://a/?b=c"]
)
def test_impossible_base_is_a_setting_to_mend(base: str) -> None:
    """An API_BASE that is no address is refused at once."""
    with pytest.raises(InvalidSettings, match="API_BASE"):
        Transport(base)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_impossible_bundle_is_a_setting_to_mend(tmp_path: Path, content: bytes | None) -> None:
    """A CA bundle that is missing or holds none is refused at once, by name."""
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSettings, match=r"bundle\.pem"):
        Transport("https://api.weixin.qq.com", ca_bundle=str(path))


def test_log_lines_hold_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 logs each URL at DEBUG, and still no token reaches a log."""
    caplog.set_level(logging.DEBUG)
    with Sandbox() as wechat:
        ask(wechat.url)
    assert SEND in caplog.text
    assert SECRET not in caplog.text


FORK = """
import os, sys
from wechat_notify.wechat.transport import Transport
transport = Transport(sys.argv[1])
request = transport.prepare("GET", "/cgi-bin/user/get", params={"access_token": "x"})
transport.send(request)
child = os.fork()
transport.send(request.copy())
if child:
    assert os.waitpid(child, 0)[1] == 0
transport.send(request.copy())
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork.")
def test_forked_child_has_connections_of_its_own() -> None:
    """Parent and child, both sending after a fork, never write to the same socket."""
    with Sandbox() as wechat:
        root = Path(__file__).parent.parent
        subprocess.run([sys.executable, "-c", FORK, wechat.url], check=True, cwd=root, timeout=30)
        assert wechat.connections == 2
        assert wechat.calls["/cgi-bin/user/get"] == 5
