"""Alerts of real processes: told beside the sending, and by whoever serves where nobody sends."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests

from tests.services.conftest import Site
from tests.services.ports import answers, free_port
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

ROOM = "wechat_notify.dispatchers"
BACKGROUND = f"{ROOM}.background.BackgroundDispatcher"
WORKER = f"{ROOM}.worker.WorkerDispatcher"


@pytest.fixture
def site(sqlite_site: Site) -> Site:
    """The site, with somebody who is told of alerts."""
    sqlite_site.ask("choose", "alice")
    return sqlite_site


@pytest.fixture
def hanging() -> Iterator[socket.socket]:
    """A mail server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def port_of(listener: socket.socket) -> str:
    return str(listener.getsockname()[1])


def serve(site: Site, **environment: str) -> int:
    port = free_port()
    site.manage("runserver", "--noreload", f"127.0.0.1:{port}", **environment)
    site.wait_until(lambda: answers(port))
    return port


def get(port: int, path: str) -> None:
    requests.get(f"http://127.0.0.1:{port}/{path}", timeout=PATIENCE)


@pytest.mark.parametrize("sender", ["server", "worker"])
def test_a_mail_server_that_hangs_delays_no_message(
    site: Site, hanging: socket.socket, sender: str
) -> None:
    """What is written while a thread waits for the mail server is sent meanwhile."""
    site.ask("ban")
    port = 0
    if sender == "server":
        port = serve(site, SMTP_PORT=port_of(hanging), DISPATCHER=BACKGROUND)
        get(port, "nowhere/")
    else:
        site.manage("wechat_deliver", "--watch", SMTP_PORT=port_of(hanging))
    connection, _address = hanging.accept()
    with closing(connection):
        if sender == "server":
            get(port, "tell/20/people/")
        else:
            site.ask("notify", 20)
        site.wait_until_counted({"sent": 20})
        assert site.ask("mails") == {"waits": 1}
    assert site.ask("alerts") == [["template", True]]


def test_a_command_that_ends_does_not_wait_for_it(site: Site, hanging: socket.socket) -> None:
    """``wechat_deliver`` from cron has sent its messages, and another process sends the e-mail."""
    site.ask("ban")
    site.ask("notify", 20)
    process = site.manage("wechat_deliver", SMTP_PORT=port_of(hanging))
    connection, _address = hanging.accept()
    with closing(connection):
        assert process.wait(timeout=PATIENCE) == 0
    site.wait_until_counted({"sent": 20})
    assert site.ask("mails") == {"waits": 1}


def test_where_nobody_sends_whoever_serves_tells(site: Site, hanging: socket.socket) -> None:
    """A site that leaves the sending to a worker which does not run: the web process notices."""
    site.ask("notify", 3)
    site.ask("late")
    port = serve(site, SMTP_PORT=port_of(hanging))
    get(port, "nowhere/")
    connection, _address = hanging.accept()
    connection.close()
    assert site.ask("alerts") == [["sender", True]]
    assert site.ask("counts") == {"pending": 3}
