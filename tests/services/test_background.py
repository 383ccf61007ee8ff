"""The default dispatcher in real processes: scripts that end, and servers that serve."""

import random
import signal
import subprocess
import threading

import pytest
import requests

from tests.factories import ORDER, openid
from tests.services.conftest import Site
from tests.services.ports import answers, free_port
from tests.sizes import sized
from tests.wechat_posts import TOKEN
from tests.wire import wire

pytestmark = pytest.mark.slow
BACKGROUND = {"DISPATCHER": "wechat_notify.dispatchers.background.BackgroundDispatcher"}


@pytest.fixture
def site(sqlite_site: Site) -> Site:
    return sqlite_site


def serve(site: Site, **environment: str) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    process = site.manage(
        "runserver", "--noreload", f"127.0.0.1:{port}", **{**BACKGROUND, **environment}
    )
    site.wait_until(lambda: answers(port))
    return process, port


def get(port: int, path: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{port}/{path}", timeout=300)


def once_each(site: Site, people: int) -> bool:
    return all(site.wechat.counts[openid(number)] == 1 for number in range(people))


def test_a_script_that_ends_sends_what_it_has_written(site: Site) -> None:
    """The process ends right after notify(), and everybody gets the message."""
    site.wechat.latency = 0.1
    site.ask("notify", 20, **BACKGROUND)
    site.wait_until_counted({"sent": 20})
    assert once_each(site, 20)


def test_a_forked_child_has_a_thread_of_its_own(site: Site) -> None:
    """And gets no connection of its parent's, which on SQLite would lock the file for ever."""
    site.wechat.latency = 0.05
    assert site.ask("fork", 5, **BACKGROUND) == [0] * 5
    site.wait_until_counted({"sent": 10})
    assert site.wechat.counts == {openid(number): 1 for number in range(10)}


def test_a_script_does_not_wait_for_a_wechat_that_hangs(site: Site) -> None:
    """After a few seconds it ends, says once what is left, and a server sends it later."""
    site.wechat.latency = 600
    script = site.start("tests.services.site", "notify", "30", **BACKGROUND)
    assert site.ended(script) == 0
    assert site.logs.count("This process ended before WeChat had accepted 30 messages") == 1
    site.wechat.latency = 0
    site.ask("age", 3600)  # as if the lease of what was in flight had ended
    assert site.counts().get("sent", 0) == 0
    # Nor is there, an hour later, what the script has left in the cache: that it fetches a token.
    _server, port = serve(site, CACHE_URL="locmemcache://")
    get(port, "nowhere/")
    site.wait_until(lambda: not site.counts().keys() & {"pending", "sending"})
    assert max(site.wechat.counts.values()) == 1


@pytest.mark.parametrize("errcode", [0, 43004])
def test_a_command_says_what_became_of_it(site: Site, errcode: int) -> None:
    """``wechat_send`` waits for the thread of its own process, and fails if WeChat refuses."""
    site.wechat.latency = 0.3
    if errcode:
        site.wechat.fail(errcode)
    command = ["wechat_send", "order_paid", f"--openid={openid(1)}"]
    fields = [f"{name}={value}" for name, value in ORDER.items()]
    ended = site.ended(site.manage(*command, *fields, **BACKGROUND))
    assert ended == (1 if errcode else 0), site.logs
    assert ("does not follow the account" if errcode else "msgid") in site.logs


def test_a_request_does_not_wait(site: Site) -> None:
    """The page is answered before WeChat is, and the message arrives."""
    with wire(site.wechat.url) as line:
        _server, port = serve(site, SANDBOX_URL=line.url)
        line.hold()
        assert get(port, "tell/1/").json()["counts"].keys() <= {"pending", "sending"}
        line.release()
        site.wait_until_counted({"sent": 1})


def test_a_served_site_needs_no_cron(site: Site) -> None:
    """What is due later, and what others have left behind, leaves from a process that serves.

    The process itself has called notify() for none of it.
    """
    site.ask("notify", 3)  # nobody's: a worker should have sent it
    site.ask("notify", 2, 3)
    _server, port = serve(site)
    assert get(port, "nowhere/").status_code == 404
    site.wait_until_counted({"sent": 5})
    assert once_each(site, 5)
    assert site.ask("early") == 0


def test_what_failed_for_the_moment_is_tried_again(site: Site) -> None:
    """By the same process, when it is due again."""
    _server, port = serve(site)
    site.wechat.fail(-1, times=1)
    get(port, "tell/1/")
    site.wait_until_counted({"sent": 1})
    assert site.wechat.counts == {openid(1): 1}


def test_a_server_that_is_killed(site: Site) -> None:
    """kill -9 while it sends: the next server's process takes over, and nobody gets two."""
    times, people = sized(2, 50), 60
    site.wechat.latency = 0.05
    for number in range(times):
        server, port = serve(site)
        get(port, f"tell/{people}/people/")
        site.pause(random.Random(number).uniform(0, 0.5))
        server.send_signal(signal.SIGKILL)
        server.wait()
        site.ask("end_leases")
    _server, port = serve(site)
    get(port, "nowhere/")
    site.wait_until_counted({"sent": times * people})
    assert set(site.wechat.counts.values()) == {times}
    given = [[message.openid, message.msgid] for message in site.wechat.messages]
    assert sorted(site.ask("sent")) == sorted(given)


def test_receipts_settle_themselves(site: Site) -> None:
    """The last receipts of a batch are joined without a worker and without another callback."""
    _server, port = serve(site)
    site.wechat.account.callback_token = TOKEN
    site.wechat.account.callback_url = f"http://127.0.0.1:{port}/wechat/default/callback/"
    for number in range(5):
        get(port, f"tell/{number}/")
    site.wait_until_counted({"delivered": 5})


def test_many_requests_at_once(site: Site) -> None:
    """Threads that notify side by side: everybody once, by a few calls at a time."""
    _server, port = serve(site)
    site.wechat.latency = 0.1
    people = sized(40)
    threads = [
        threading.Thread(target=get, args=(port, f"tell/{number}/")) for number in range(people)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.wait_until_counted({"sent": people})
    assert once_each(site, people)
    assert site.wechat.max_in_flight <= 8
