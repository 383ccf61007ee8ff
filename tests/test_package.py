"""The package as a whole: what it imports, what its papers say, and that both are true."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import get_commands, load_command_class
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.utils import timezone

import wechat_notify
from tests import factories
from tests.school.models import Leave
from wechat_notify import declarations, services, signals, urls
from wechat_notify.backends import locmem
from wechat_notify.backends.base import BaseBackend
from wechat_notify.conf import ACCOUNT_KEYS, KEYS
from wechat_notify.sandbox import samples
from wechat_notify.types import Endpoint
from wechat_notify.wechat import errors
from wechat_notify.wechat.errors import ErrorInfo, Treatment

ROOT = Path(__file__).resolve().parent.parent
APP = Path(wechat_notify.__file__).parent
PAPERS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]

DOES: dict[Treatment, str] = {
    Treatment.OK: "`sent`",
    Treatment.RETRY: "tried again",
    Treatment.TOKEN: "a new token and one more try; then the account rests",
    Treatment.FAIL: "`failed`",
    Treatment.PERSON: "`failed`; the binding is marked as not following",
    Treatment.PERSON_REFUSED: "`failed`; the binding shows the code",
    Treatment.LATER: "tried again after ten minutes, then after an hour",
    Treatment.DUPLICATE: "`uncertain`",
    Treatment.TEMPLATE: "the template is paused, its messages wait",
    Treatment.TEMPLATE_GONE: "`failed`; the template is paused",
    Treatment.ACCOUNT: "the account rests, its messages wait",
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports by its full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def blocks(paper: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", paper.read_text(), re.MULTILINE | re.DOTALL)


def code_of(paper: Path) -> str:
    """What a page writes in code, in blocks and between words."""
    return "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", paper.read_text(), re.M | re.S))


def anchors(paper: Path) -> set[str]:
    """Where a link into a page can lead: its headings, as GitHub makes addresses of them."""
    prose = re.sub(r"^```.*?^```", "", paper.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def python_block(name: str, containing: str) -> str:
    """The one example on a page that has these words."""
    (found,) = [block for block in blocks(ROOT / name, "python") if containing in block]
    return found


# -- imports ----------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ["wechat", "sandbox"])
def test_the_wire_and_the_fake_know_no_orm_and_no_settings(room: str) -> None:
    """Both could be lifted out: no database, no models, no settings of a Django project."""
    for path in (APP / room).rglob("*.py"):
        for name in imports(path):
            assert not name.startswith(("django.db", "django.conf", "django.contrib")), path


def test_packages_open_without_django_being_ready() -> None:
    """``import wechat_notify`` and its rooms import nothing of the ORM."""
    rooms = ["wechat", "backends", "delivery", "sandbox", "management"]
    names = ", ".join(["wechat_notify", *(f"wechat_notify.{room}" for room in rooms)])
    code = f"import sys, {names}; sys.exit('django.db' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_the_runtime_needs_django_and_requests_only() -> None:
    """Everything else is an extra."""
    project = (ROOT / "pyproject.toml").read_text()
    (listed,) = re.findall(r"^dependencies = \[(.*)\]$", project, re.MULTILINE)
    assert re.findall(r'"(\w+)>=', listed) == ["Django", "requests"]


def test_the_changelog_has_this_version() -> None:
    """A version number is not raised without a word about what has changed."""
    assert f"## [{wechat_notify.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


# -- commands -----------------------------------------------------------------------------------


def test_every_command_explains_itself() -> None:
    """Each has a help text, and its options have one too."""
    ours = [name for name, app in get_commands().items() if app == "wechat_notify"]
    assert "wechat_send" in ours
    for name in ours:
        command = load_command_class("wechat_notify", name)
        assert command.help, name
        parser = command.create_parser("manage.py", name)
        for action in parser._actions:
            assert action.help, f"{name} {action.dest}"


# -- papers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_links_lead_somewhere(paper: Path) -> None:
    """Every relative link and picture is a file of the project, and has the heading it names."""
    for target in re.findall(r'(?:\]\(|src="|srcset=")([^)"\s]+)', paper.read_text()):
        if not target.startswith("http"):
            name, _, anchor = target.partition("#")
            page = paper.parent / name if name else paper
            assert page.exists(), target
            assert not anchor or anchor in anchors(page), target


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_python_on_paper_is_python(paper: Path) -> None:
    """Every example compiles, and what it imports from the app is there."""
    for block in blocks(paper, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wechat_notify"):
                exec(compile(ast.Module([node], []), paper.name, "exec"), {})  # noqa: S102


@pytest.mark.parametrize("name", ["README.md", "README.zh-Hans.md"])
def test_the_readme_fits(name: str) -> None:
    """One page to read; the rest is in docs/."""
    assert len((ROOT / name).read_text().splitlines()) <= 150


def test_both_languages_show_the_same_code() -> None:
    """A translation has the same examples, comments aside."""

    def code(name: str) -> list[str]:
        found = blocks(ROOT / name, "python") + blocks(ROOT / name, "console")
        return [re.sub(r" *#.*", "", block) for block in found]

    assert code("README.md") == code("README.zh-Hans.md")
    assert code("docs/getting-started.md") == code("docs/getting-started.zh-Hans.md")


@pytest.mark.django_db(transaction=True)
def test_the_first_example_sends() -> None:
    """The README's call, as it stands, suits the fake WeChat's template; its link becomes full."""
    (content,) = [
        template.content
        for template in samples.templates()
        if template.template_id == samples.ORDER_TEMPLATE_ID
    ]
    factories.make_template(content=content)
    order = SimpleNamespace(
        buyer=factories.make_binding().user,
        number="2026112301",
        title="围巾",
        total=Decimal("39.8"),
        paid_at=timezone.now(),
        get_absolute_url=lambda: "/orders/7/",
    )
    exec(python_block("README.md", "order.buyer"), {"order": order})  # noqa: S102
    (message,) = locmem.outbox
    assert message.data["thing2"] == {"value": "围巾"}
    assert message.url == "https://school.example/orders/7/"


@pytest.fixture
def nothing_stays_connected() -> Iterator[None]:
    """Receivers and declarations of an example end with the test."""
    receivers, declared = list(post_save.receivers), dict(declarations.declared)
    yield
    post_save.receivers[:] = receivers
    post_save.sender_receivers_cache.clear()
    declarations.declared.clear()
    declarations.declared.update(declared)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("nothing_stays_connected")
def test_the_example_of_a_trigger_sends() -> None:
    """The README's receiver, as it stands, tells the managers of a new row, and only then."""
    content = "申请人：{{name1.DATA}}\n开始时间：{{time2.DATA}}"
    factories.make_template("leave_requested", content=content)
    manager = factories.make_binding().user
    names = {"Leave": Leave, "managers_of": lambda leave: [manager]}
    exec(python_block("README.md", "@notify_on"), names)  # noqa: S102
    leave = Leave(person=factories.make_user("李小明"), start=timezone.now())
    leave.save()
    leave.save()
    (message,) = locmem.outbox
    assert message.data["name1"] == {"value": "李小明"}
    assert message.url == "https://school.example" + leave.get_absolute_url()


# -- references kept in step --------------------------------------------------------------------


def public_names() -> Iterator[str]:
    """What a site may call, name or connect to."""
    yield from (name for name, app in get_commands().items() if app == "wechat_notify")
    yield from services.__all__
    yield from (name for name, value in vars(signals).items() if isinstance(value, Signal))
    yield from (pattern.name for pattern in urls.urlpatterns if pattern.name)
    yield from (name for name in vars(BaseBackend) if name.startswith("supports_"))


def test_every_public_name_is_documented() -> None:
    """A command, service, signal, route or ability that no page names is found by nobody."""
    code = "\n".join(code_of(paper) for paper in PAPERS if paper.name != "CHANGELOG.md")
    names = set(public_names())
    assert {"wechat_send", "notify", "message_sent", "callback", "supports_oauth"} <= names
    assert not [name for name in sorted(names) if not re.search(rf"\b{name}\b", code)]


def test_every_setting_is_documented_with_its_default() -> None:
    """docs/settings.md lists the keys of conf.py, in its order, and no others."""
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| `(.*?)` \|", (ROOT / "docs/settings.md").read_text(), re.M
    )
    assert rows == [(key, str(repr(value))) for key, value in {**KEYS, **ACCOUNT_KEYS}.items()]


def error_rows(endpoint: Endpoint, table: errors.Table) -> str:
    """A table of errcodes, those with the same meaning in one row."""
    together: dict[tuple[str, ...], list[int]] = {}
    for code in table:
        if endpoint == "token" and code == 0:
            continue  # a token is no message, and nobody looks up what went well
        info: ErrorInfo = errors.describe(code, endpoint=endpoint)
        words = (str(info.cause), str(info.next_step), DOES[info.treatment])
        together.setdefault(words, []).append(code)
    lines = ["| errcode | cause | next step | the app |", "|---|---|---|---|"]
    for words, codes in sorted(together.items(), key=lambda entry: abs(entry[1][0])):
        lines.append(f"| {', '.join(map(str, codes))} | {' | '.join(words)} |")
    return "\n".join(lines)


def test_every_errcode_is_documented() -> None:
    """docs/troubleshooting.md says what wechat/errors.py says, word for word."""
    paper = (ROOT / "docs/troubleshooting.md").read_text()
    for endpoint, table in (("send", errors._BUSINESS), ("token", errors._TOKEN)):
        rows = error_rows(endpoint, table)
        assert rows in paper, f"docs/troubleshooting.md should have:\n{rows}"
