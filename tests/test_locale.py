"""The Chinese catalogues: whole, compiled, and harmless to what they stand beside."""

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import pytest
from django.utils import translation

from wechat_notify.models import SendLog
from wechat_notify.wechat.errors import describe
from wechat_notify.writing import recipients

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = Path("locale/zh_Hans/LC_MESSAGES/django.po")
OURS = pytest.mark.parametrize("package", ["wechat_notify", "wechat_notify/rules", "demo_project"])
DJANGO = sorted(Path(django.__file__).parent.glob(f"**/{CATALOGUE}"))

KEYWORD = re.compile(r'(msgctxt|msgid|msgid_plural|msgstr)(?:\[\d+\])? (".*")')
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-#0 +]*[\d.]*[sdrf%]|\{\w*\}|\{\{ … \}\}|\{% … %\}")
HAN = r"[\u3400-\u9fff]"
MISPRINT = re.compile(rf"{HAN}[A-Za-z0-9]|[A-Za-z0-9]{HAN}|{HAN}[,.;:!?()]|[,;:!?()]{HAN}")


@dataclass
class Entry:
    """One text of a catalogue, with its translation."""

    words: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Context and English."""
        return self.words.get("msgctxt", ""), self.words["msgid"]

    @property
    def compiled_key(self) -> str | tuple[str, int]:
        """Its key in a loaded .mo file: one with plurals has the number of its only form."""
        context, text = self.key
        key = f"{context}\x04{text}" if context else text
        return (key, 0) if "msgid_plural" in self.words else key

    @property
    def english(self) -> tuple[str, ...]:
        return tuple(self.words[name] for name in ("msgid", "msgid_plural") if name in self.words)

    @property
    def chinese(self) -> str:
        return self.words["msgstr"]


def read(catalogue: Path) -> list[Entry]:
    """Every entry of a .po file but its header, and but what is obsolete (#~)."""
    entries = []
    for block in catalogue.read_text(encoding="utf-8").split("\n\n"):
        entry, name = Entry(), ""
        for line in block.splitlines():
            if match := KEYWORD.fullmatch(line):
                name, text = match.groups()
                entry.words[name] = ast.literal_eval(text)
            elif line.startswith('"'):
                entry.words[name] += ast.literal_eval(line)
        if entry.words.get("msgid"):
            entries.append(entry)
    return entries


@OURS
def test_every_text_is_translated(package: str) -> None:
    """No entry is empty, guessed (fuzzy) or left over from a text that is gone (obsolete)."""
    text = (ROOT / package / CATALOGUE).read_text(encoding="utf-8")
    assert "#, fuzzy" not in text
    assert "#~" not in text
    entries = read(ROOT / package / CATALOGUE)
    assert len(entries) > 50
    assert [entry.key for entry in entries if not entry.chinese.strip()] == []


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is translated, with its texts collected anew, as ``make messages`` does."""
    if not (shutil.which("xgettext") and shutil.which("msgmerge")):
        pytest.skip("there is no GNU gettext on this machine")
    copy = tmp_path_factory.mktemp("texts")
    shutil.copy(ROOT / "manage.py", copy)
    for name in ("wechat_notify", "demo_project", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--locale", "zh_Hans", "--no-location"],
        cwd=copy,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "demo_project.settings"},
        check=True,
        capture_output=True,
    )
    return copy


@OURS
def test_catalogue_has_every_text_of_the_source(package: str, collected: Path) -> None:
    """Whoever adds or changes a text is reminded of ``make messages``."""
    now = {entry.key for entry in read(collected / package / CATALOGUE)}
    assert now == {entry.key for entry in read(ROOT / package / CATALOGUE)}


@OURS
def test_placeholders_survive_translation(package: str) -> None:
    """A translation names the values that its English text names, or Python would stumble."""
    for entry in read(ROOT / package / CATALOGUE):
        given = [sorted(PLACEHOLDER.findall(text)) for text in entry.english]
        assert sorted(PLACEHOLDER.findall(entry.chinese)) in given, entry.key


@OURS
def test_compiled_catalogue_is_that_of_its_source(package: str) -> None:
    """The .mo in the wheel says what the .po says."""
    source = ROOT / package / CATALOGUE
    with source.with_suffix(".mo").open("rb") as compiled:
        loaded: dict[Any, str] = gettext.GNUTranslations(compiled)._catalog  # type: ignore[attr-defined]
    said = {entry.compiled_key: entry.chinese for entry in read(source)}
    assert {key: text for key, text in loaded.items() if key} == said


@OURS
def test_chinese_is_set_as_chinese(package: str) -> None:
    """Full-width punctuation among Chinese, and a blank between it and letters or digits."""
    for entry in read(ROOT / package / CATALOGUE):
        found = MISPRINT.findall(PLACEHOLDER.sub("", entry.chinese))
        assert [piece for piece in found if piece not in entry.words["msgid"]] == [], entry.key


def test_djangos_own_words_stay_as_they_are() -> None:
    """Catalogues of all apps become one, so a word of Django's must not change on its pages."""
    theirs = {entry.key: entry.chinese for path in DJANGO for entry in read(path)}
    for package in ("wechat_notify", "wechat_notify/rules"):
        assert_shared_words_agree(package, theirs)


def test_rules_say_the_same_as_the_rest() -> None:
    """One Chinese word for one English text, whichever app has it: the catalogues become one."""
    core = {entry.key: entry.chinese for entry in read(ROOT / "wechat_notify" / CATALOGUE)}
    assert_shared_words_agree("wechat_notify/rules", core)


def assert_shared_words_agree(package: str, others: dict[tuple[str, str], str]) -> None:
    ours = {entry.key: entry.chinese for entry in read(ROOT / package / CATALOGUE)}
    shared = ours.keys() & others.keys()
    assert shared
    assert {key: ours[key] for key in shared} == {key: others[key] for key in shared}


def test_chinese_site_gets_chinese() -> None:
    """Django finds the catalogue: statuses, errcodes and reasons kept in the log are Chinese."""
    with translation.override("zh-hans"):
        assert str(SendLog.Status.UNDELIVERED.label) == "未送达"
        assert "IP 白名单" in str(describe(40164).next_step)
        log = SendLog(status=SendLog.Status.SKIPPED, errmsg=recipients.NOT_BOUND)
        assert log.explanation == "对方未绑定微信。"
