"""System checks of the project's time zone, and of its database's transactions and characters."""

import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test.utils import override_settings

from tests.factories import make_template
from wechat_notify.models import MessageTemplate
from wechat_notify.project_checks import check_character_set, check_transactions


def ids() -> list[str]:
    """What the app's checks find, those of the database included."""
    found = checks.run_checks(tags=["wechat_notify"], databases=["default"])
    return [str(message.id).removeprefix("wechat_notify.") for message in found]


# -- the time zone ------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "GMT"])
def test_utc_is_warned_of(settings: Any, zone: str, db: None) -> None:
    """W050: what to write stands in the hint. Whoever means UTC can silence it."""
    settings.TIME_ZONE = zone
    (warning,) = checks.run_checks(tags=["wechat_notify"])
    assert warning.id == "wechat_notify.W050"
    assert warning.level == checks.WARNING
    assert 'TIME_ZONE = "Asia/Shanghai"' in str(warning.hint)
    settings.SILENCED_SYSTEM_CHECKS = ["wechat_notify.W050"]
    assert warning.is_silenced() is True


PROJECT = """
import django
from django.conf import settings
from django.core import checks

account = {"APP_ID": "wx0123456789abcdef", "APP_SECRET": "0123456789abcdef0123456789abcdef"}
apps = ["django.contrib.auth", "django.contrib.contenttypes", "wechat_notify"]
settings.configure(INSTALLED_APPS=apps, WECHAT_NOTIFY={"ACCOUNTS": {"default": account}}%s)
django.setup()
print(*(message.id for message in checks.run_checks(tags=["wechat_notify"])))
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [("", "wechat_notify.W050\n"), (", TIME_ZONE='America/Chicago'", "\n")],
    ids=["not set", "the same, set"],
)
def test_a_time_zone_that_is_not_set_is_warned_of(line: str, expected: str) -> None:
    """W050: without a line in the settings it is Chicago's, which nobody has chosen."""
    run = [sys.executable, "-c", PROJECT % line]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == expected


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Asia/Urumqi", "Europe/Berlin"])
def test_a_chosen_time_zone_is_fine(settings: Any, zone: str, db: None) -> None:
    """Whatever somebody has chosen."""
    settings.TIME_ZONE = zone
    assert ids() == []


def test_a_site_without_accounts_is_not_told_of_its_time_zone(settings: Any, db: None) -> None:
    """No account, no message, no wrong time; broken settings are another check's."""
    settings.TIME_ZONE = "UTC"
    settings.WECHAT_NOTIFY = {"ACCOUNTS": {}}
    assert ids() == ["W001"]
    settings.WECHAT_NOTIFY = "x"
    assert ids() == ["E001"]


# -- transactions -------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite begins by reading")
@pytest.mark.parametrize("mode", [None, "DEFERRED", "deferred"])
def test_transactions_that_begin_by_reading(
    monkeypatch: pytest.MonkeyPatch, db: None, mode: Any
) -> None:
    """W052: at deploy, because a site in development has few who write at once."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"transaction_mode": mode})
    (warning,) = check_transactions()
    assert warning.id == "wechat_notify.W052"
    assert "IMMEDIATE" in str(warning.hint)
    told = [
        [
            message.id
            for message in checks.run_checks(
                tags=["wechat_notify"], databases=["default"], include_deployment_checks=deploy
            )
        ]
        for deploy in (False, True)
    ]
    assert [warning.id in ids for ids in told] == [False, True]


@pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate", "EXCLUSIVE"])
def test_transactions_that_ask_for_the_lock_first(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Nothing to say, and nothing on a server."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"transaction_mode": mode})
    assert check_transactions() == []


# -- the character set --------------------------------------------------------------------------

only_mysql = pytest.mark.skipif(
    connection.vendor != "mysql", reason="only MySQL and MariaDB have half of UTF-8"
)


def test_a_database_that_takes_every_character_is_silent(db: None) -> None:
    """Nothing to say of the test database, whichever it is, nor where none may be asked."""
    assert check_character_set(databases=["default"]) == []
    assert check_character_set() == []


@pytest.fixture
def narrow(transactional_db: None) -> Iterator[None]:
    """A database as "CREATE DATABASE … CHARACTER SET utf8" makes it, for two columns."""
    name = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
    yield from _altered(
        f"ALTER DATABASE {name} CHARACTER SET {{charset}}",
        "ALTER TABLE wechat_notify_messagetemplate "
        "MODIFY title varchar(200) CHARACTER SET {charset} NOT NULL, "
        "MODIFY url varchar(2048) CHARACTER SET {charset} NOT NULL",
    )


def _altered(*statements: str) -> Iterator[None]:
    def run(charset: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.format(charset=charset))

    run("utf8")
    try:
        yield
    finally:
        MessageTemplate.objects.all().delete()
        run("utf8mb4")


def collations() -> dict[str, str]:
    """The collation of each of the table's text columns."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, collation_name FROM information_schema.columns WHERE table_schema "
            "= DATABASE() AND table_name = 'wechat_notify_messagetemplate'"
        )
        return dict(cursor.fetchall())


@only_mysql
def test_half_of_utf8_is_found_and_its_remedy_works(narrow: None) -> None:
    """W051: the SQL in the hint lets an emoji in, and leaves exact columns exact."""
    with pytest.raises(DatabaseError, match="1366"):
        make_template("emoji", title="订单😀")
    (warning,) = check_character_set(databases=["default"])
    assert warning.id == "wechat_notify.W051"
    before = collations()
    with connection.cursor() as cursor:
        for statement in str(warning.hint).splitlines()[1:]:
            cursor.execute(statement)
    assert check_character_set(databases=["default"]) == []
    make_template("emoji", title="订单😀", url="https://school.example/😀")
    after = collations()
    assert after["title"].startswith("utf8mb4")
    assert after["template_id"] == before["template_id"]
    assert "bin" in after["template_id"]


@only_mysql
def test_the_doctor_says_it_too(narrow: None) -> None:
    """A problem, with the same SQL."""
    out = io.StringIO()
    with pytest.raises(CommandError), override_settings(LANGUAGE_CODE="en"):
        call_command("wechat_doctor", account="other", stdout=out)
    assert "not all text columns are utf8mb4" in out.getvalue()
    assert "ALTER TABLE `wechat_notify_messagetemplate`" in out.getvalue()
