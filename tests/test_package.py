"""The package as a whole: what it imports, what its papers say, and that both are true."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import get_commands, load_command_class
from django.dispatch import Signal
from django.utils import timezone

import wechat_notify
from tests import factories
from tests.school.models import Leave
from wechat_notify import services, signals, urls
from wechat_notify.backends import locmem
from wechat_notify.backends.base import BaseBackend
from wechat_notify.conf import ACCOUNT_KEYS, KEYS
from wechat_notify.sandbox import samples
from wechat_notify.types import Endpoint
from wechat_notify.wechat import errors
from wechat_notify.wechat.errors import ErrorInfo, Treatment
from wechat_notify.wechat.fields import parse

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
    Treatment.HOST: "this server rests, other servers go on",
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
    rooms = ["wechat", "backends", "dispatchers", "sending", "sandbox", "management"]
    names = ", ".join(["wechat_notify", *(f"wechat_notify.{room}" for room in rooms)])
    code = f"import sys, {names}; sys.exit('django.db' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)


STARTS = """
import json, sys, django
from django.conf import settings
contrib = [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "messages")]
settings.configure(INSTALLED_APPS=[*contrib, "wechat_notify"], SECRET_KEY="of a test")
django.setup()
print(json.dumps(sorted(sys.modules)))
"""


def test_a_start_of_django_imports_what_every_process_needs() -> None:
    """The admin's pages, the engine, and what speaks to WeChat, come with whoever uses them."""
    run = subprocess.run(
        [sys.executable, "-c", STARTS], cwd=ROOT, check=True, timeout=300, capture_output=True
    )
    loaded = set(json.loads(run.stdout))
    assert "wechat_notify.models" in loaded
    for name in ("requests", "urllib3", "cryptography", "celery", "segno", "redis"):
        assert name not in loaded
    for room in ("admin.base", "sending", "dispatchers", "services", "checks", "triggers"):
        assert f"wechat_notify.{room}" not in loaded


def test_the_runtime_needs_django_and_requests_only() -> None:
    """Everything else is an extra."""
    project = (ROOT / "pyproject.toml").read_text()
    (listed,) = re.findall(r"^dependencies = \[(.*)\]$", project, re.MULTILINE)
    assert re.findall(r'"(\w+)>=', listed) == ["Django", "requests", "urllib3"]


def test_the_lock_has_every_tool_and_no_address() -> None:
    """What pyproject.toml names is in requirements.lock: "make lock" was not forgotten."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 has it")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements.lock").read_text()
    locked = set(re.findall(r"^([\w-]+)==", lock, re.MULTILINE))
    groups = [*project["dependency-groups"].values(), project["project"]["dependencies"]]
    groups += project["project"]["optional-dependencies"].values()
    named = {entry for group in groups for entry in group if isinstance(entry, str)}
    assert {re.split(r"[^\w-]", entry)[0].lower() for entry in named} <= locked
    assert "//" not in lock


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


def test_recipes_name_what_is_there() -> None:
    """Every file, function, class and make target that CONTRIBUTING.md names exists."""
    named = re.findall(r"`([^`\n]+)`", (ROOT / "CONTRIBUTING.md").read_text())
    source = "\n".join(
        path.read_text() for room in (APP, ROOT / "tests") for path in room.rglob("*.py")
    )
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in named:
        if re.fullmatch(r"[\w./-]+(/|\.(py|md|toml|lock|po))", name):
            assert (ROOT / name).exists(), name
        elif function := re.fullmatch(r"(\w+)\(\)", name):
            assert f"def {function[1]}(" in source, name
        elif re.fullmatch(r"([A-Z][a-z]+){2,}", name):
            assert f"class {name}" in source, name
        elif target := re.match(r"make (\w+)", name):
            assert target[1] in targets, name


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
    names = ["order_no", "title", "amount", "paid_at"]
    keys = [field.name for field in parse(content)]
    factories.make_template(content=content, field_names=dict(zip(names, keys, strict=True)))
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("own_triggers")
@pytest.mark.parametrize("paper", ["README.md", "README.zh-Hans.md"])
def test_the_example_of_a_trigger_sends(paper: str) -> None:
    """The README's receiver, as it stands, tells the person when it is approved, and only then."""
    content = "申请人：{{name1.DATA}}\n开始时间：{{time2.DATA}}"
    named = {"person": "name1", "starts_at": "time2"}
    factories.make_template("leave_decided", content=content, field_names=named)
    person = factories.make_binding(factories.make_user("李小明")).user
    exec(python_block(paper, "@notify_on"), {"Leave": Leave})  # noqa: S102
    leave = Leave.objects.create(person=person, start=timezone.now())
    leave.status = "approved"
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
    keys = [*KEYS.items(), *ACCOUNT_KEYS.items()]
    assert rows == [(key, repr(value)) for key, value in keys]


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
    """docs/troubleshooting.md says what wechat/errors.py says, word for word, where it belongs."""
    paper = (ROOT / "docs/troubleshooting.md").read_text()
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", paper, re.M))
    headings = {
        "send": "Errcodes of all calls but one for a token",
        "token": "Errcodes when fetching a token",
    }
    for endpoint, table in errors.TABLES.items():
        rows = error_rows(endpoint, table)
        assert rows in sections[headings[endpoint]], f"{headings[endpoint]} should have:\n{rows}"
