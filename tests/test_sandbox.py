"""The fake WeChat as a server: HTTP, counters, the control API, the command."""

import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.sandbox_client import MAMA, SEND, WANG, Api
from tests.waiting import wait_until
from wechat_notify.sandbox import api as endpoints
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.server import Sandbox

ROOT = Path(__file__).parent.parent
# Certificate and key of 127.0.0.1, for these tests and nothing else.
CERTIFICATE = Path(__file__).parent / "localhost.pem"


@pytest.fixture
def wechat() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(wechat: Sandbox) -> Iterator[Api]:
    client = Api(wechat)
    yield client
    client.close()


def say(wechat: Sandbox, raw: bytes) -> bytes:
    """What comes back for these bytes, until the other side hangs up."""
    with socket.create_connection(("127.0.0.1", wechat.port), timeout=60) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


# HTTP


def test_a_connection_serves_many_requests(wechat, api):
    """Keep-alive: three calls and a token, one connection."""
    for _ in range(3):
        api.send()
    assert wechat.connections == 1
    assert wechat.calls[SEND] == 3


def test_connection_close_is_honoured(wechat):
    """HTTP/1.1 with Connection: close, and HTTP/1.0 without keep-alive."""
    for head in (
        b"GET /sandbox/state HTTP/1.1\r\nConnection: close",
        b"GET /sandbox/state HTTP/1.0",
    ):
        answer = say(wechat, head + b"\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200 OK") == 1
        assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"\r\n\r\nGET /sandbox/state HTTP/1.1\r\n\r\n", 200),
    ],
)
def test_what_is_no_request(wechat, raw, status):
    """Refused with a status, and the connection closed."""
    assert say(wechat, raw).startswith(b"HTTP/1.1 %d " % status)


def test_expect_100_continue(wechat):
    """curl waits for it before it sends a large body."""
    head = b"POST /sandbox/clear HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
    answer = say(wechat, head)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_tls():
    """The same over TLS; a client that speaks plain HTTP or goes away harms nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Sandbox(ssl_context=context) as wechat:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{wechat.port}/", timeout=60)
        with socket.create_connection(("127.0.0.1", wechat.port)):
            pass
        assert wechat.url.startswith("https://")
        answer = requests.get(f"{wechat.url}/sandbox/state", verify=CERTIFICATE, timeout=60)
        assert answer.status_code == 200


def test_a_mistake_of_the_sandbox_itself_is_logged(wechat, api, monkeypatch, caplog):
    """The connection is closed and the traceback is there to read."""

    def broken(state, request):
        raise KeyError("a bug")

    monkeypatch.setitem(endpoints.ROUTES, "/cgi-bin/user/get", endpoints.Route("GET", broken))
    with caplog.at_level(logging.ERROR), pytest.raises(requests.ConnectionError):
        api.business_get("/cgi-bin/user/get")
    api.close()
    assert "a bug" in caplog.text
    assert wechat.state.traffic.in_flight == 0


def test_ipv6():
    """A host with colons is an IPv6 address."""
    try:
        sandbox = Sandbox(host="::1").start()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    assert requests.get(f"{sandbox.url}/sandbox/state", timeout=60).status_code == 200
    sandbox.stop()


# Life


def test_the_port_is_free_after_the_end(wechat):
    """stop() can be called twice; a stopped sandbox has no address."""
    port = wechat.port
    wechat.stop()
    wechat.stop()
    with pytest.raises(RuntimeError):
        _ = wechat.url
    with Sandbox(port=port) as again:
        assert again.port == port


def test_no_secret_in_a_repr(wechat):
    """Neither the sandbox nor its account shows the app secret or the callback token."""
    wechat.account.callback_token = "very-secret"
    for shown in (repr(wechat), repr(wechat.account)):
        assert wechat.app_secret not in shown
        assert "very-secret" not in shown
    assert wechat.app_id in repr(wechat)


def test_it_answers_without_django_settings():
    """The sandbox stands alone: refusals, cards and pages need no settings module."""
    script = """
import requests
from tests.sandbox_client import Api, WANG, ORDER
from wechat_notify.sandbox.server import Sandbox
with Sandbox() as wechat:
    api = Api(wechat)
    assert api.send()["errcode"] == 0
    assert api.send(data={**ORDER, "thing2": "x" * 21})["errcode"] == 47003
    assert "订单支付成功通知" in api.request("GET", f"/phone/{WANG}/").text
    api.close()
"""
    env = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, check=True, timeout=300)


# Counters


def test_calls_in_flight_are_counted(wechat, api):
    """max_in_flight is how many were being answered at once."""
    wechat.stall(60, times=3)
    token = api.token
    everybody_in = threading.Barrier(3)

    def send(_: int) -> None:
        client = Api(wechat)
        everybody_in.wait(60)
        with pytest.raises(requests.ReadTimeout):
            requests.post(
                wechat.url + SEND,
                params={"access_token": token},
                json=client.message(),
                timeout=(60, 0.5),
            )
        client.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(send, range(3)))
    wait_until(lambda: wechat.max_in_flight == 3)  # a client may give up before it is heard
    assert wechat.connections == 4


def test_token_fetches_of_both_kinds_are_counted(wechat, api):
    """Refused ones too."""
    api.classic()
    api.stable()
    api.stable(secret="wrong")
    assert wechat.token_fetches == 3


def test_many_threads_lose_no_message(wechat, api):
    """400 messages by 8 threads: each there once, each with its own msgid."""
    token = api.token

    def send_some(thread: int) -> None:
        client = Api(wechat)
        for number in range(50):
            client.send(token=token, client_msg_id=f"{thread}-{number % 25}")
        client.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send_some, range(8)))
    assert len({message.msgid for message in wechat.messages}) == len(wechat.messages) == 200
    assert wechat.duplicates == 200
    assert wechat.connections <= 9


# The control API


def test_the_figures(wechat, api):
    """What a test in another process reads."""
    api.send(client_msg_id="a")
    api.send(client_msg_id="a")
    figures = api.get("/sandbox/state")
    assert figures["messages"] == figures["people_reached"] == figures["duplicates"] == 1
    assert figures["calls"] == {"/cgi-bin/stable_token": 1, SEND: 2}
    assert figures["token_fetches"] == figures["connections"] == 1
    assert figures["in_flight"] == 0


def test_messages_from_outside(wechat, api):
    """All of them, one person's, those after a msgid, and counts by person."""
    for openid in (WANG, MAMA, WANG):
        api.send(openid, url="https://a.example/")
    everything = api.get("/sandbox/messages")["messages"]
    assert [message["openid"] for message in everything] == [WANG, MAMA, WANG]
    first = everything[0]
    assert first["url"] == "https://a.example/"
    assert first["data"]["amount3"] == {"value": "39.80元"}
    assert first["msgid_str"] == str(first["msgid"])
    assert len(api.get("/sandbox/messages", {"openid": WANG})["messages"]) == 2
    later = api.get("/sandbox/messages", {"after": first["msgid_str"], "limit": "1"})
    assert later["messages"] == [everything[1]]
    assert api.get("/sandbox/counts")["counts"] == {WANG: 2, MAMA: 1}


def control(api: Api, path: str, body: object = None) -> dict:
    return api.request("POST", f"/sandbox/{path}", json={} if body is None else body).json()


def test_faults_from_outside(wechat, api):
    """Every kind can be scripted, read and cleared."""
    made = control(api, "faults", {"kind": "fail", "errcode": -1, "times": 2, "openid": WANG})
    assert (made["kind"], made["hits"]) == ("fail", 0)
    assert api.send()["errcode"] == -1
    for fault in (
        {"kind": "delay", "seconds": 0.01},
        {"kind": "reset", "accepted": False},
        {"kind": "http_error", "status": 503},
        {"kind": "truncate", "cut_connection": False},
        {"kind": "stall", "seconds": 0.01},
    ):
        assert control(api, "faults", fault)["kind"] == fault["kind"]
    listed = api.get("/sandbox/faults")["faults"]
    assert [fault["hits"] for fault in listed] == [1, 0, 0, 0, 0, 0]
    control(api, "faults/clear")
    assert api.get("/sandbox/faults")["faults"] == []
    assert api.send()["errcode"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"kind": "clear"}),
        ("faults", {"kind": "fail"}),
        ("faults", {"kind": "fail", "errcode": 1, "often": 2}),
        ("faults", {}),
        ("faults", []),
        ("users", {"openid": "o1", "shoe_size": 43}),
        ("templates", {"title": "no id"}),
        ("clock", {}),
        ("settings", {"app_secret": "x"}),
        ("settings", {"latency": "slow"}),
        ("settings", {"daily_quota": "many"}),
    ],
)
def test_nonsense_from_outside(wechat, api, path, body):
    """400 with the reason; nothing is changed."""
    answer = api.request("POST", f"/sandbox/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert api.send()["errcode"] == 0


def test_people_and_templates_from_outside(wechat, api):
    """They are added and changed while the sandbox runs."""
    control(api, "users", {"openid": "o1", "nickname": "阿丽"})
    control(api, "users", {"users": [{"openid": "o2"}, {"openid": WANG, "subscribed": False}]})
    users = {user["openid"]: user for user in api.get("/sandbox/users")["users"]}
    assert users["o1"]["nickname"] == "阿丽"
    assert users["o2"]["subscribed"] is True
    assert (users[WANG]["subscribed"], users[WANG]["nickname"]) == (False, "王老师")
    template = {"template_id": "T" * 43, "title": "通知", "content": "事：{{thing1.DATA}}"}
    assert control(api, "templates", template)["title"] == "通知"
    sent = api.send("o1", template_id="T" * 43, data={"thing1": "开会"})
    assert sent["errcode"] == 0
    control(api, "templates", {**template, "banned": True})
    listed = api.get("/sandbox/templates")["template_list"]
    assert {"T" * 43: True}.items() <= {t["template_id"]: t["banned"] for t in listed}.items()


def test_tokens_clock_and_settings_from_outside(wechat, api):
    """What a test in another process needs to age, revoke and slow down things."""
    control(api, "token/revoke")
    assert api.send()["errcode"] == 0
    control(api, "token/revoke", {"keep_serving": True})
    assert api.send()["errcode"] == 40001
    before = api.get("/sandbox/state")["time"]
    assert control(api, "clock", {"advance": 7200})["time"] >= before + 7200
    control(api, "settings", {"latency": 0.001, "daily_quota": 0, "name": "新名字"})
    control(api, "settings", {"any_openid": True})
    assert (wechat.latency, wechat.daily_quota, wechat.account.name) == (0.001, 0, "新名字")
    assert wechat.account.any_openid is True


def test_everything_can_be_forgotten(wechat, api):
    """clear() takes messages, faults and counters, and leaves people, templates and tokens."""
    api.send(client_msg_id="a")
    wechat.fail(-1)
    control(api, "clear")
    assert wechat.messages == []
    assert wechat.calls == {}
    assert api.send(client_msg_id="a")["errcode"] == 0
    assert wechat.duplicates == 0


def test_the_control_api_is_not_for_other_sites_pages(wechat, api):
    """A browser that shows another site cannot use it; unknown paths are said to be so."""
    answer = api.request("POST", "/sandbox/clear", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert api.request("GET", "/sandbox/unknown").status_code == 404


# The command


def run_command(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "django", "wechat_sandbox", *options],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("alias", "secret"),
    [
        ("default", "0123456789abcdef0123456789abcdef"),
        ("unknown", samples.APP_SECRET),
    ],
)
def test_the_command_serves_until_ctrl_c(alias, secret):
    """It says where it is, plays the project's own account, and ends with exit code 0."""
    with run_command("--port", "0", "--account", alias, "--account-name", "小店") as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        output = "".join(lines)
        url = output.split("Phone page:")[1].split()[0]
        app_id = output.split("APP_ID:")[1].split('"')[1]
        query = {"grant_type": "client_credential", "appid": app_id, "secret": secret}
        answer = requests.get(f"{url}cgi-bin/token", params=query, timeout=60)
        assert "access_token" in answer.json()
        assert "小店" in requests.get(url, timeout=60).content.decode()
        assert (secret in output) == (alias == "unknown")
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
        assert process.stderr.read() == ""


def test_the_command_says_when_its_port_is_taken(wechat):
    """One sentence and what to do, no traceback."""
    with run_command("--port", str(wechat.port)) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Try another --port" in errors
    assert "Traceback" not in errors
