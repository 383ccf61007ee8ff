"""Scripted trouble: what the client meets, and what the fake has recorded by then."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.sandbox_client import MAMA, SEND, WANG, Api
from wechat_notify.sandbox.server import Sandbox


@pytest.fixture
def wechat() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(wechat: Sandbox) -> Iterator[Api]:
    client = Api(wechat)
    yield client
    client.close()


def test_an_errcode_for_the_next_calls(wechat, api):
    """fail() strikes as often as asked, counts itself, and delivers nothing."""
    fault = wechat.fail(45009, times=2)
    assert [api.send()["errcode"] for _ in range(3)] == [45009, 45009, 0]
    assert fault.hits == 2
    assert len(wechat.messages) == 1


def test_an_errcode_for_one_person_for_ever(wechat, api):
    """The others are not touched."""
    wechat.fail(43004, openid=MAMA, times=None)
    assert [api.send(MAMA)["errcode"] for _ in range(3)] == [43004] * 3
    assert api.send(WANG)["errcode"] == 0


def test_an_errcode_after_some_calls_went_well(wechat, api):
    """A quota that ends in the middle of a run."""
    wechat.fail(45009, after=2, times=None)
    assert [api.send()["errcode"] for _ in range(4)] == [0, 0, 45009, 45009]


def test_an_errcode_at_the_token_endpoints(wechat, api):
    """A path pattern picks the endpoint; 40164 names an IP address as WeChat's does."""
    wechat.fail(40164, path="/cgi-bin/*token", times=2)
    assert "invalid ip 203.0.113.7" in api.stable()["errmsg"]
    assert api.classic()["errcode"] == 40164
    assert "access_token" in api.classic()


def test_an_errmsg_of_ones_own(wechat, api):
    """For codes nobody knows."""
    wechat.fail(99999, "something new")
    assert api.send()["errmsg"].startswith("something new rid: ")
    wechat.fail(99998)
    assert api.send()["errcode"] == 99998


def test_a_fault_about_a_person_at_a_get(wechat, api):
    """The openid of a query counts as well as that of a body."""
    wechat.fail(-1, openid=MAMA, path="/cgi-bin/user/info")
    assert api.business_get("/cgi-bin/user/info", openid=WANG)["subscribe"] == 1
    assert api.business_get("/cgi-bin/user/info", openid=MAMA)["errcode"] == -1


@pytest.mark.parametrize("accepted", [True, False])
def test_a_reset_after_or_before_the_message_was_accepted(wechat, api, accepted):
    """The client sees the same, the phone does not."""
    api.send(client_msg_id="warm")
    wechat.reset(accepted=accepted)
    with pytest.raises(requests.ConnectionError, match="reset"):
        api.send(client_msg_id="a")
    assert len(wechat.messages) == 1 + accepted
    assert api.send(client_msg_id="a")["errcode"] == 0
    assert wechat.duplicates == accepted


@pytest.mark.parametrize("accepted", [True, False])
def test_a_gateway_page(wechat, api, accepted):
    """HTML with a 5xx, from a proxy that may have passed the request on."""
    wechat.http_error(502, accepted=accepted)
    query = {"access_token": api.token}
    answer = api.request("POST", SEND, params=query, json=api.message())
    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "502 Bad Gateway" in answer.text
    assert len(wechat.messages) == accepted


def test_a_gateway_page_with_a_status_nobody_knows(wechat, api):
    """Any number will do."""
    wechat.http_error(599)
    query = {"access_token": api.token}
    answer = api.request("POST", SEND, params=query, json=api.message())
    assert (answer.status_code, answer.reason) == (599, "Unknown")


def test_half_an_answer_and_the_connection_cut(wechat, api):
    """The message was taken; the client knows only that something was."""
    wechat.truncate()
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api.send()
    assert len(wechat.messages) == 1


def test_half_an_answer_that_looks_whole(wechat, api):
    """Only the JSON is broken, and the connection lives."""
    wechat.truncate(cut_connection=False)
    with pytest.raises(json.JSONDecodeError):
        api.send()
    assert len(wechat.messages) == 1
    assert wechat.connections == 1


def test_an_answer_that_never_comes(wechat, api):
    """stall() lets the client's own timeout end it."""
    wechat.stall(60)
    query = {"access_token": api.token}
    with pytest.raises(requests.ReadTimeout):
        requests.post(wechat.url + SEND, params=query, json=api.message(), timeout=(60, 0.2))
    while not wechat.messages:  # the client may have given up before it was read
        time.sleep(0.005)
    assert len(wechat.messages) == 1


def test_a_stall_ends_and_the_connection_with_it(wechat, api):
    """After its time the other side hangs up without a word."""
    wechat.stall(0.05, accepted=False)
    with pytest.raises(requests.ConnectionError):
        api.send()
    assert wechat.messages == []


def test_a_stalled_client_does_not_keep_the_sandbox_from_stopping():
    """Leaving the with block hangs up on everybody."""
    with Sandbox() as wechat, ThreadPoolExecutor(1) as pool:
        api = Api(wechat)
        fault = wechat.stall(600, path="/cgi-bin/stable_token")
        waiting = pool.submit(api.stable)
        while not fault.hits:
            time.sleep(0.005)
        wechat.stop()
        with pytest.raises(requests.ConnectionError):
            waiting.result(timeout=60)
        api.close()


def test_delays_add_up_and_other_faults_come_on_top(wechat, api):
    """A slow refusal is a delay and a fail."""
    wechat.latency = 0.05
    assert wechat.latency == 0.05
    wechat.delay(0.05)
    wechat.delay(0.05)
    wechat.fail(-1)
    token = api.token
    started = time.monotonic()
    assert api.send(token=token)["errcode"] == -1
    assert time.monotonic() - started >= 0.15
    wechat.latency = 0
    assert api.send()["errcode"] == 0


def test_faults_can_be_forgotten(wechat, api):
    """clear_faults() leaves everything else as it is."""
    api.send()
    wechat.fail(-1, times=None)
    wechat.clear_faults()
    assert api.send()["errcode"] == 0
    assert len(wechat.messages) == 2
