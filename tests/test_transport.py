"""Every way a request can end is told apart, and nothing secret comes out of any of them."""

import importlib.util
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import responses
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3.exceptions import ClosedPoolError

from tests.raw_http import (
    CERTIFICATE,
    OK,
    SECRET,
    SEND,
    Drip,
    ask,
    failure,
    refusing_port,
    send_once,
    tcp_server,
)
from tests.waiting import PATIENCE
from wechat_notify.exceptions import InvalidSettings
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.wechat.transport import Transport

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def secure() -> Iterator[Sandbox]:
    """A fake WeChat over TLS, whose certificate nobody trusts who was not told to."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    with Sandbox(ssl_context=context) as running:
        yield running


# Never left.


def test_refused_connection_is_not_sent() -> None:
    """Nobody listens: the message cannot have left."""
    with refusing_port() as port:
        error = failure(f"http://127.0.0.1:{port}")
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
    with tcp_server(lambda connection: bool(done.wait(PATIENCE))) as port:
        error = failure(f"https://127.0.0.1:{port}", timeout=(0.2, 0.2))
        done.set()
    assert (error.maybe_sent, error.status) == (False, None)


def test_proxy_out_of_reach_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the environment does not answer: the message cannot have left."""
    with refusing_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        error = failure("http://wechat.invalid")
    assert (error.maybe_sent, error.status) == (False, None)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("407 Proxy Authentication Required", "the proxy asks for a user name and password"),
        ("302 Found", "something on the way to WeChat redirects it"),
        ("403 Forbidden", "the proxy refuses the connection"),
    ],
)
def test_proxy_that_refuses_the_tunnel_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, status: str, words: str
) -> None:
    """A proxy that lets no tunnel through: the message cannot have left, and it is said why."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())

    with tcp_server(refuse) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = failure("https://wechat.invalid")
    assert (error.maybe_sent, error.status) == (False, None)
    assert str(error) == f"No connection to WeChat: {words} (HTTP {status[:3]})."


def test_proxy_whose_answer_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tunnel that is opened byte by byte is given up when the time to connect is over."""
    dripping = Drip(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with tcp_server(dripping) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = failure("https://wechat.invalid", timeout=(0.5, 20))
    assert not dripping.finished
    assert (error.maybe_sent, error.status) == (False, None)


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http:///nowhere", "the address of the proxy cannot be used"),
        ("nonsense://127.0.0.1:1", ""),
        ("http://a..b:1", ""),
    ],
)
def test_malformed_proxy_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    """A proxy setting that is no address: the message cannot have left."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    error = failure("http://wechat.invalid")
    assert not error.maybe_sent
    assert words in str(error)


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
        ("stall", {}),
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
        assert failure(wechat.url, timeout=(20, 0.5 if trouble == "stall" else 20)).maybe_sent


# How it is done.


def test_no_cookie_is_kept() -> None:
    """What one answer sets, the next request does not bring."""
    with responses.RequestsMock() as mock:
        mock.get("http://wechat.invalid/x", json={}, headers={"Set-Cookie": "a=1"})
        transport = Transport("http://wechat.invalid")
        for _ in range(2):
            transport.request("GET", "/x")
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
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: send_once(transport), range(400)))
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


@pytest.mark.parametrize("ahead", [-900, 0, 900])
def test_skew_of_the_clocks_is_known(ahead: int) -> None:
    """WeChat's Date header tells how far its clock and ours are apart."""
    transport = Transport("http://wechat.invalid")
    assert transport.clock_skew() is None
    with responses.RequestsMock() as mock:
        begun = time.time()
        date = formatdate(begun + ahead, usegmt=True)
        mock.get("http://wechat.invalid/x", json={}, headers={"Date": date})
        transport.request("GET", "/x")
        took = time.time() - begun
    skew = transport.clock_skew()
    assert skew is not None
    assert ahead - 1.5 - took <= skew <= ahead + 1.5


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Nov 2026 03:00:00 GMT"])
def test_date_that_cannot_be_read_says_nothing(date: str | None) -> None:
    """An answer without a usable Date is an answer all the same."""
    transport = Transport("http://wechat.invalid")
    with responses.RequestsMock() as mock:
        mock.get("http://wechat.invalid/x", json={}, headers={"Date": date} if date else {})
        assert transport.request("GET", "/x") == {}
    assert transport.clock_skew() is None


def test_one_context_serves_every_connection(secure: Sandbox, tmp_path: Path) -> None:
    """The CA bundle is read once, not at every connection: after that it may be gone."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(CERTIFICATE.read_bytes())
    transport = Transport(secure.url, ca_bundle=str(bundle), pool_size=4)
    bundle.unlink()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: send_once(transport), range(40)))
    assert 1 <= secure.connections <= 4
    transport.close()


def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for WeChat goes to the proxy that HTTP_PROXY names, with its whole address."""
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(OK)

    with tcp_server(answer) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        assert ask("http://wechat.invalid") == {"errcode": 0}
    assert seen[0].startswith(b"POST http://wechat.invalid/cgi-bin/message/template/send?")


def test_socks_proxy_without_its_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy needs PySocks, which the site may not have installed."""
    if importlib.util.find_spec("socks"):
        pytest.skip("PySocks is installed.")
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9")
    error = failure("http://wechat.invalid")
    assert not error.maybe_sent
    assert "needs PySocks: install requests[socks]" in str(error)


@pytest.mark.skipif(not importlib.util.find_spec("socks"), reason="PySocks is not installed.")
def test_socks_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PySocks the request goes through the SOCKS proxy."""

    def relay(connection: socket.socket) -> None:
        connection.recv(3)
        connection.sendall(b"\x05\x00")
        connection.recv(65536)
        connection.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        connection.recv(65536)
        connection.sendall(OK)

    with tcp_server(relay) as port:
        monkeypatch.setenv("HTTP_PROXY", f"socks5h://127.0.0.1:{port}")
        assert ask("http://wechat.invalid") == {"errcode": 0}


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
