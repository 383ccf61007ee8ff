"""The demo as a stranger meets it: started by its command, used in a browser and on a phone."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow

WANG = "oSandbox-wang-laoshi-000000001"
CHEN = "oSandbox-chen-zhuren-000000002"
LI = "oSandbox-li-xiaoming-000000003"
LOG = "admin/wechat_notify/sendlog/"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A machine without settings of its own, and a database in ``folder``."""
    ours = ("WECHAT_", "DJANGO_", "DATABASE_", "CACHE_", "SITE_", "DEBUG", "LANG", "LC_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**plain, "DATABASE_URL": f"sqlite:///{folder / 'demo.sqlite3'}", **more}


def manage(folder: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@dataclass
class Demo:
    """A running demo and what it has printed."""

    process: "subprocess.Popen[str]"
    output: str
    logins: dict[str, requests.cookies.RequestsCookieJar] = field(default_factory=dict)

    def address(self, label: str) -> str:
        found = re.search(rf"^{label} +(\S+)", self.output, re.MULTILINE)
        assert found, self.output
        return found[1]

    def messages_to(self, openid: str) -> list[dict[str, Any]]:
        """What the fake WeChat has for this person."""
        url = f"{self.address('Phones')}sandbox/messages"
        answer = requests.get(url, params={"openid": openid}, timeout=60)
        return list(answer.json()["messages"])

    def wait_for(self, openid: str, **values: str) -> dict[str, Any]:
        """The message to this person that says so, once it is there: it leaves beside the request,
        and so do those of the tests before."""

        def those() -> list[dict[str, Any]]:
            return [
                message
                for message in self.messages_to(openid)
                if values.items()
                <= {key: one["value"] for key, one in message["data"].items()}.items()
            ]

        wait_until(those)
        (found,) = those()
        return found

    def browser(self, username: str) -> "Browser":
        """A browser in which this person is logged in: by a password once, as hashing is slow."""
        browser = Browser(self.address("Site"))
        if username not in self.logins:
            browser.submit("login/", username=username, password="demo", next="/")
            self.logins[username] = browser.session.cookies.copy()
        browser.session.cookies.update(self.logins[username])
        return browser


class Browser:
    """Somebody's browser: follows redirects, keeps cookies, sends the form's CSRF token."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.session = requests.Session()

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.site + path, timeout=60)

    def submit(self, path: str, action: str = "", **fields: str) -> requests.Response:
        """Post the form on the page at ``path``."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).text)
        assert token
        data = {"csrfmiddlewaretoken": token[1], **fields}
        return self.session.post(self.site + (action or path), data=data, timeout=60)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo in English, up and running; it must end well on Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "demo"],
        cwd=ROOT,
        env=environment(tmp_path_factory.mktemp("demo"), LANGUAGE_CODE="en"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    yield Demo(process, "".join(lines))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert "KeyboardInterrupt" not in errors


def test_the_send_log_tells_everybody_s_story(demo: Demo) -> None:
    """Two approvers have a msgid, the one without WeChat a reason, and nobody else is there."""
    rows = [re.split(r" {2,}", line) for line in demo.output.splitlines() if "请假审批提醒" in line]
    by_name = {row[0]: row for row in rows}
    assert by_name.keys() == {"王老师", "陈主任", "赵校长"}
    assert by_name["王老师"][3].isdigit()
    assert by_name["陈主任"][3].isdigit()
    assert "not bound" in by_name["赵校长"][-1]


def test_the_first_messages_get_their_receipts(demo: Demo) -> None:
    """The callback's address is set before they leave, so they are delivered, not just sent."""
    rows = [re.split(r" {2,}", line) for line in demo.output.splitlines() if "请假审批提醒" in line]
    assert sorted(row[2] for row in rows) == ["delivered", "delivered", "skipped"]


def test_the_link_on_the_card_opens_the_request(demo: Demo) -> None:
    """An approver taps the card, logs in, and sees the request with its two buttons."""
    message = demo.messages_to(WANG)[0]
    assert message["url"] == demo.address("Request")
    path = message["url"].removeprefix(demo.address("Site"))
    page = demo.browser("wang").get(path)
    assert "回老家参加婚礼" in page.text
    assert 'value="approve"' in page.text


def test_a_request_goes_its_whole_way(demo: Demo) -> None:
    """Handed in on the site, told to the approvers, decided by one, told to the applicant."""
    li = demo.browser("li")
    form = {
        "kind": "病假",
        "start": "2030-05-06T08:00",
        "end": "2030-05-07T17:30",
        "reason": "发烧",
    }
    path = li.submit("new/", **form).url.removeprefix(li.site)
    demo.wait_for(WANG, const2="病假", time3="2030年5月6日 08:00")

    decided = demo.browser("wang").submit(path, path + "decide/", decision="approve")
    assert "approved" in decided.text
    answer = demo.wait_for(LI, phrase2="已同意", name3="王老师")
    assert answer["url"] == li.site + path

    again = demo.browser("chen").submit("new/", path + "decide/", decision="reject")
    assert again.url == li.site + path
    assert "This request has been decided already." in again.text
    assert "rejected" not in again.text
    own = li.submit("new/", path + "decide/", decision="reject")
    assert own.status_code == 403
    assert len(demo.messages_to(LI)) == 1


def test_a_rule_tells_the_staff(demo: Demo) -> None:
    """Beside the trigger: when an annual leave is approved, the admin rule tells all colleagues."""
    li = demo.browser("li")
    form = {
        "kind": "年假",
        "start": "2032-05-06T08:00",
        "end": "2032-05-07T17:30",
        "reason": "旅行",
    }
    path = li.submit("new/", **form).url.removeprefix(li.site)
    demo.browser("wang").submit(path, path + "decide/", decision="approve")
    news = demo.wait_for(CHEN, name1="李小明", name3="王老师")
    assert news["url"] == ""


def test_nobody_decides_what_is_not_theirs(demo: Demo) -> None:
    """Not one's own request, not another school's, and never by a GET."""
    path = demo.address("Request").removeprefix(demo.address("Site"))
    li, sun = demo.browser("li"), demo.browser("sun")
    assert 'value="approve"' not in li.get(path).text
    assert li.submit("new/", path + "decide/", decision="approve").status_code == 403
    assert sun.get(path).status_code == 404
    assert sun.submit("new/", path + "decide/", decision="approve").status_code == 404
    assert demo.browser("wang").get(path + "decide/").status_code == 405


def test_a_form_that_makes_no_sense_comes_back(demo: Demo) -> None:
    """An end before the beginning is said beside the field, and nobody is told anything."""
    form = {
        "kind": "事假",
        "start": "2034-05-07T08:00",
        "end": "2034-05-06T08:00",
        "reason": "有事",
    }
    page = demo.browser("li").submit("new/", **form)
    assert "Must be later than the beginning." in page.text
    assert "2034年" not in str(demo.messages_to(WANG))


def test_strangers_are_asked_to_log_in(demo: Demo) -> None:
    """No page but the login page without a login; the style sheet comes to everybody."""
    stranger = Browser(demo.address("Site"))
    for path in ("", "new/", "view/1/"):
        assert stranger.get(path).url.startswith(stranger.site + "login/")
    assert stranger.get("static/leave/leave.css").headers["Content-Type"].startswith("text/css")


def test_the_site_speaks_both_languages(demo: Demo) -> None:
    """Chinese for a browser that asks for it, in every word of a page; English by one tap."""
    wang = demo.browser("wang")
    wang.session.headers["Accept-Language"] = "zh-CN"
    page = wang.get("view/1/").text
    for word in ("请假事由", "同意", "不同意"):
        assert word in page
    visible = re.sub(r"<[^>]*>", " ", page.partition("<body>")[2])
    assert set(re.findall(r"[A-Za-z]{2,}", visible)) == {"English"}
    assert "Leave requests" in wang.submit("", "i18n/setlang/", language="en", next="/").text


def test_the_site_and_its_admin_have_an_icon(demo: Demo) -> None:
    """Browsers ask for it on every page, and the admin's pages name none."""
    icon = demo.browser("wang").get("favicon.ico")
    assert icon.status_code == 200
    assert icon.headers["Content-Type"] == "image/svg+xml"


def test_the_admin_opens_with_the_demo_login(demo: Demo) -> None:
    """Every list of the app answers, with the rows that the demo made."""
    browser = Browser(demo.address("Site"))
    browser.submit("admin/login/", username="admin", password="demo", next="/admin/")
    for model in ("openidbinding", "messagetemplate", "notification", "sendlog"):
        page = browser.get(f"admin/wechat_notify/{model}/")
        assert page.status_code == 200
        assert "result_list" in page.text, model


def test_later_messages_get_theirs_too(demo: Demo) -> None:
    """Two receipts within one second: both have found their message a moment later."""
    form = {
        "kind": "年假",
        "start": "2031-05-06T08:00",
        "end": "2031-05-07T17:30",
        "reason": "旅行",
    }
    demo.browser("li").submit("new/", **form)
    admin = Browser(demo.address("Site"))
    admin.submit("admin/login/", username="admin", password="demo", next="/admin/")
    for person in (WANG, CHEN):
        demo.wait_for(person, time3="2031年5月6日 08:00")

    def any_left() -> bool:
        pages = [admin.get(f"{LOG}?status__exact={status}").text for status in ("sending", "sent")]
        assert all('id="changelist"' in page for page in pages)
        return any("result_list" in page for page in pages)

    wait_until(lambda: not any_left())


def test_once_ends_well_and_fails_if_a_message_did_not_arrive(tmp_path: Path) -> None:
    """Exit code 0; 1 when somebody who should know was not told."""
    first = manage(tmp_path, "demo", "--once")
    assert first.returncode == 0, first.stderr
    assert "delivered" in first.stdout
    assert "http://" not in first.stdout  # nothing answers there any more
    with closing(sqlite3.connect(tmp_path / "demo.sqlite3")) as database, database:
        database.execute("UPDATE wechat_notify_openidbinding SET subscribed = 0")
    second = manage(tmp_path, "demo", "--once")
    assert second.returncode == 1
    assert "2 messages should have arrived, and 0 did" in second.stderr


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh-hans"),
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh-hans"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8", "LANGUAGE_CODE": "zh-hans"}, "zh-hans"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else value,
)
def test_the_language_is_the_terminals(
    tmp_path: Path, locale: dict[str, str], language: str
) -> None:
    """Chinese where the locale is, else English; LANGUAGE_CODE has the last word."""
    ask = "from demo_project import settings; print(settings.LANGUAGE_CODE)"
    env = environment(tmp_path, **locale)
    said = subprocess.check_output([sys.executable, "-c", ask], cwd=ROOT, env=env, text=True)
    assert said.strip() == language


def test_the_demo_prints_in_that_language(tmp_path: Path) -> None:
    """The send log has its headings in Chinese on a Chinese terminal."""
    said = manage(tmp_path, "demo", "--once", PYTHONUTF8="1", LANG="zh_CN.UTF-8").stdout
    assert any(line.startswith("接收人") for line in said.splitlines()), said


STUB = """#!/bin/sh
mkdir -p "$SEEN" && echo "$DATABASE_URL" >"$SEEN/$$"
echo rows >"${DATABASE_URL#sqlite:///}"
for _ in $(seq 600); do [ "$(ls "$SEEN" | wc -l)" -ge 2 ] && exit 0; sleep 0.1; done
exit 1
"""


def test_two_runs_of_make_demo_leave_each_other_alone(tmp_path: Path) -> None:
    """Each has a database of its own, which is there while it runs and gone afterwards."""
    version = ".".join(map(str, sys.version_info[:2]))
    stamp = tmp_path / "venvs/demo" / f".ready-{version}"
    python = tmp_path / "venvs/demo/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(STUB)
    python.chmod(0o755)
    stamp.touch()
    command = ["make", "-C", str(ROOT), "demo", f"VENVS={tmp_path}/venvs"]
    command.append(f"PYTHON={sys.executable}")
    # What an outer `make test DJANGO=…` hands down would choose another environment.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    seen = {**kept, "SEEN": str(tmp_path / "seen")}
    both = [subprocess.Popen([*command, *more], env=seen) for more in ([], ["ONCE=1"])]
    assert [one.wait(timeout=PATIENCE) for one in both] == [0, 0]
    urls = [path.read_text().strip() for path in (tmp_path / "seen").iterdir()]
    assert len(set(urls)) == 2
    assert not any((ROOT / url.removeprefix("sqlite:///")).exists() for url in urls)


def test_the_demo_makes_no_known_logins_on_a_real_site(tmp_path: Path) -> None:
    """With DEBUG off it does nothing."""
    result = manage(tmp_path, "demo", "--once", DEBUG="off")
    assert result.returncode == 1
    assert "DEBUG" in result.stderr
    with closing(sqlite3.connect(tmp_path / "demo.sqlite3")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_the_demo_project_is_in_order(tmp_path: Path) -> None:
    """No warning of Django's checks and no migration forgotten, with no .env at all."""
    checked = manage(tmp_path, "check", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr
    migrations = manage(tmp_path, "makemigrations", "--check", "--dry-run")
    assert migrations.returncode == 0, migrations.stdout
