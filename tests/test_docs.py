"""Pages, sections, errcodes, modules and options: what is named anywhere is there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class

from wechat_notify.sandbox.refusals import ERRMSGS
from wechat_notify.types import Endpoint
from wechat_notify.wechat.errors import TABLES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/wechat-api.md"
CODE = ["wechat_notify", "demo_project", "benchmarks", "tests"]
SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".toml", ".txt"}
PAPERS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
SOURCES = [
    path for room in CODE for path in sorted((ROOT / room).rglob("*")) if path.suffix in SUFFIXES
]

_NUMBER = r"\d+(?:\.\d+)?"
_CITED = re.compile(rf"docs/wechat-api\.md,? ({_NUMBER}(?:(?:, | and ){_NUMBER})*)")


def flowing(path: Path) -> str:
    """A file's text with wrapped comments and sentences put together again."""
    return re.sub(r"\s*\n[\s#*/]*", " ", path.read_text(encoding="utf-8"))


def headings() -> set[str]:
    """The numbers of the page's sections."""
    return set(re.findall(rf"^##+ ({_NUMBER}) ", PAGE.read_text(encoding="utf-8"), re.M))


def section(number: str) -> str:
    """The text of one section, with what is below it."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^(##+) {re.escape(number)} .*?(?=^\1 |\Z)", text, re.M | re.S)
    assert found, number
    return found[0]


def citations(path: Path) -> Iterator[str]:
    """The sections of the page that a file cites."""
    for cited in _CITED.findall(flowing(path)):
        yield from re.findall(_NUMBER, cited)


def marks(number: str) -> dict[int, str]:
    """The errcodes in a section's table, with how far each can be trusted."""
    rows = re.findall(r"^\| ([-\d, ]*\d) \| ([^|]+) \|", section(number), re.M)
    return {int(code): mark for codes, mark in rows for code in codes.split(", ")}


def test_every_cited_section_exists() -> None:
    """Whoever follows a comment to the page of facts finds the section that it names."""
    cited = {(path.name, number) for path in [*SOURCES, *PAPERS] for number in citations(path)}
    assert ("policy.py", "2.1") in cited
    assert ("tokens.py", "1.2") in cited  # wrapped over two lines
    assert sorted((name, number) for name, number in cited if number not in headings()) == []


def test_every_cited_page_exists() -> None:
    """No comment, text or test names a page that the repository does not have.

    A page of docs/ may be named without its directory, as paths are put together.
    """
    named = {
        (str(path.relative_to(ROOT)), page)
        for path in SOURCES
        for page in re.findall(r"[\w./-]+\.md\b", flowing(path))
    }
    assert ("wechat_notify/sending/policy.py", "docs/wechat-api.md") in named
    there = {path.name for path in PAPERS} | {str(path.relative_to(ROOT)) for path in PAPERS}
    assert sorted((path, page) for path, page in named if page not in there) == []


@pytest.mark.parametrize(("number", "endpoint"), [("1.2", "token"), ("2.2", "send")])
def test_every_errcode_has_its_row(number: str, endpoint: Endpoint) -> None:
    """Each errcode that the app knows stands on the page, with the mark that the app gives it."""
    known = {code: info.source for code, info in TABLES[endpoint].items()}
    if endpoint == "token":
        del known[0]  # success: a token is no message
    listed = marks(number)
    assert {code: listed.get(code) for code in known} == known


def test_the_fake_refuses_with_errcodes_of_the_page() -> None:
    """The sandbox invents no errcode."""
    listed = marks("1.2").keys() | marks("2.2").keys()
    assert sorted(ERRMSGS.keys() - listed) == []


def is_there(dotted: str) -> bool:
    """Whether a dotted path leads to a module, or to something in one."""
    try:
        return bool(resolve_name(dotted))
    except (ImportError, AttributeError):
        return False


def test_every_module_that_a_page_names_exists() -> None:
    """Dotted paths and files of the package are what the pages call them."""
    texts = "\n".join(path.read_text(encoding="utf-8") for path in PAPERS)
    dotted = set(re.findall(r"\bwechat_notify(?:\.\w+)+", texts))
    files = set(re.findall(r"\bwechat_notify/[\w/]+(?:\.py|/)(?=`)", texts))
    assert "wechat_notify.services" in dotted
    assert "wechat_notify/sending/engine.py" in files
    dotted.remove("wechat_notify.deliver")  # the name of a Celery task
    assert sorted(name for name in dotted if not is_there(name)) == []
    assert sorted(name for name in files if not (ROOT / name).exists()) == []


def test_every_option_of_a_command_is_documented() -> None:
    """docs/commands.md lists each command's own options, and no others."""
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (wechat_\w+)$", text, flags=re.M)[1:]
    documented = {
        name: set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"^\| (`-.*?) \|", part, re.M))))
        for name, part in zip(parts[::2], parts[1::2], strict=True)
    }
    common = set(options(BaseCommand()))
    ours = {
        name: str(app)
        for name, app in get_commands().items()
        if f"{app}.".startswith("wechat_notify.")
    }
    commands = {name: load_command_class(app, name) for name, app in ours.items()}
    real = {name: set(options(command)) - common for name, command in commands.items()}
    assert documented == real


def options(command: BaseCommand) -> Iterator[str]:
    """The long options that a command takes."""
    for action in command.create_parser("manage.py", "command")._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))


DEFAULT_SITE = """
import django

django.setup()

from django.contrib import admin
from wechat_notify.models import Notification

assert admin.site.is_registered(Notification)
print(admin.site.wechat_recipients.segments_label)
"""
SETTINGS = """
from tests.settings import *
from tests.settings import INSTALLED_APPS

INSTALLED_APPS[INSTALLED_APPS.index("django.contrib.admin")] = "school.apps.SchoolAdminConfig"
"""


@pytest.mark.parametrize("page", ["admin.md", "admin.zh-Hans.md"])
def test_what_a_site_offers_can_be_its_default_site(page: str, tmp_path: Path) -> None:
    """As printed: Django loads the class while it sets up the admin, before any page of ours."""
    paper = (ROOT / "docs" / page).read_text(encoding="utf-8")
    printed = re.compile(r"^```python\n# school/(\w+\.py)\n(.*?)(?=^```|^# settings)", re.M | re.S)
    blocks = printed.findall(paper)
    assert [name for name, _code in blocks] == ["sites.py", "apps.py"]
    school = tmp_path / "school"
    school.mkdir()
    for name, code in [*blocks, ("__init__.py", ""), ("settings.py", SETTINGS)]:
        (school / name).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", DEFAULT_SITE],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "school.settings",
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "PYTHONIOENCODING": "utf-8",
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "班级\n"
