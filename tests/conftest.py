"""What every test may ask for, and the clean slate that each one starts from."""

import copy
import gc
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from django import urls
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.core.management.color import no_style
from django.core.management.commands import flush
from django.db import connections
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.test import TransactionTestCase

from tests import factories
from wechat_notify import duties
from wechat_notify.alerts import comparing
from wechat_notify.backends import locmem, registry
from wechat_notify.declarations import declared
from wechat_notify.receipts.settling import passing
from wechat_notify.rules import active_rules
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending import forks_record, outcomes
from wechat_notify.triggers import memory, watching
from wechat_notify.triggers import trigger as names
from wechat_notify.writing import content

# Examples are the same in each run, and may take as long as a busy machine makes them.
hypothesis.settings.register_profile(
    "tests", derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database-only",
        action="store_true",
        help="leave out what cannot reach the database, as pytest-django lets it without a fixture",
    )


def uses_database(item: pytest.Item) -> bool:
    """Whether pytest-django lets a test reach the database."""
    if issubclass(getattr(item, "cls", None) or object, TransactionTestCase):
        return True
    fixtures = getattr(item, "fixturenames", ())
    return "db" in fixtures or "transactional_db" in fixtures or is_marked(item, "django_db")


def is_marked(item: pytest.Item, name: str) -> bool:
    return item.get_closest_marker(name) is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow files come first, so that no process is left with one of them at the end."""
    if config.getoption("--database-only"):
        config.hook.pytest_deselected(items=[item for item in items if not uses_database(item)])
        items[:] = filter(uses_database, items)
    slow = {item.path for item in items if is_marked(item, "slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection() -> None:
    """Thousands of tests are collected, and none of it is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What is loaded now stays: the garbage collector need not look at it again and again."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def ended_by_signals() -> Iterator[None]:
    """Ctrl-C ends the suite with the processes that it has started, and SIGTERM does likewise.

    What runs in a shell's background ignores Ctrl-C, and so would those processes, which some
    tests end in that way.
    """
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in signals]
    yield
    for number, handler in zip(signals, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def no_alerts() -> None:
    """Alerts are looked at where a test asks for it.

    The duty would come once a minute, in whatever test delivers at that moment.
    """
    duties.forget("alerts")


@pytest.fixture(scope="session", autouse=True)
def no_old_rules() -> None:
    """A process reads the rules anew every five seconds, in whatever test counts queries then.

    Here it does so only when one was saved, or a test asks for it.
    """
    active_rules.MAX_AGE = 1e9


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """pytest-django's own; and what a flush takes away that every test needs is put back at once.

    Django finds out again for each app which permissions it has, after each of the hundreds of
    tests with transactions of their own.
    """
    with django_db_blocker.unblock():
        # pytest-django makes no database where no chosen test uses one.
        tables = connections["default"].introspection.table_names()
        models = [one for one in (ContentType, Permission) if one._meta.db_table in tables]
        kept = [list(model.objects.all()) for model in models]

    def put_back(verbosity: int, interactive: bool, db: str) -> None:
        for rows in kept:
            type(rows[0])._base_manager.using(db).bulk_create(rows)
        ContentType.objects.clear_cache()
        # The keys were given. Where a sequence makes them, it goes on after these.
        operations = connections[db].ops
        with connections[db].cursor() as cursor:
            for statement in operations.sequence_reset_sql(no_style(), models):
                cursor.execute(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "emit_post_migrate_signal", put_back)
        yield


@pytest.fixture(scope="session", autouse=True)
def resolvers_stay() -> Iterator[None]:
    """A URLconf is read once, and not again for each of the tests that use another than the last.

    Each has a resolver of its own, and none of them changes while the tests run. Django and
    pytest-django forget them all whenever ROOT_URLCONF changes, which took a tenth of the time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urls, "clear_url_caches", lambda: None)
        yield


@pytest.fixture(autouse=True)
def clean_slate() -> Iterator[None]:
    """No token, breaker, outbox or warning of another test."""
    caches["default"].clear()
    locmem.clear()
    content.forget_warnings()
    passing.forget()
    forks_record.recorded.forget()
    comparing.forget()
    outcomes.forget()
    yield
    registry.close_all()


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Change WECHAT_NOTIFY for one test: ``configure(MAX_ATTEMPTS=2)``."""

    def change(**values: Any) -> None:
        wanted = copy.deepcopy(settings.WECHAT_NOTIFY)
        wanted["ACCOUNTS"]["default"].update(values.pop("default", {}))
        wanted.update(values)
        settings.WECHAT_NOTIFY = wanted

    return change


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests do not use the proxy or CA bundle that this machine's environment names."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)


@pytest.fixture
def own_declarations() -> Iterator[None]:
    """Nothing is declared when the test begins, and what it declares ends with it."""
    before = dict(declared)
    declared.clear()
    yield
    declared.clear()
    declared.update(before)


@pytest.fixture
def own_triggers(own_declarations: None) -> Iterator[None]:
    """What the test connects to signals, and its triggers, end with it."""
    signals = [post_delete, post_save, pre_save, m2m_changed]
    receivers = [list(one.receivers) for one in signals]
    registries: list[dict[Any, Any]] = [names.triggers, watching.watches, memory.watched]
    kept = [dict(own) for own in registries]
    yield
    for one, before in zip(signals, receivers, strict=True):
        one.receivers[:] = before
        one.sender_receivers_cache.clear()
    for own, entries in zip(registries, kept, strict=True):
        own.clear()
        own.update(entries)
    memory.layouts.clear()


@pytest.fixture
def fresh_rules() -> Iterator[None]:
    """The rules of this test, none of the one before."""
    active_rules.forget()
    yield
    active_rules.forget()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fake WeChat where everybody follows, not connected to anything."""
    with Sandbox(any_openid=True) as running:
        yield running


@pytest.fixture
def wechat(sandbox: Sandbox, configure: Callable[..., None]) -> Sandbox:
    """The fake WeChat, with the default account sending to it over real HTTP."""
    configure(
        default={
            "BACKEND": "wechat_notify.backends.wechat.WeChatBackend",
            "APP_ID": sandbox.app_id,
            "APP_SECRET": sandbox.app_secret,
            "API_BASE": sandbox.url,
        },
        TIMEOUT=(20, 20),
    )
    return sandbox


@pytest.fixture
def template(db: None) -> Any:
    """The registered template ``order_paid``."""
    return factories.make_template()


@pytest.fixture
def known_template(wechat: Sandbox, transactional_db: None) -> Any:
    """The same, registered with the fake WeChat too."""
    made = factories.make_template()
    wechat.add_template(factories.sandbox_template(made))
    return made
