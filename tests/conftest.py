"""What every test may ask for, and the clean slate that each one starts from."""

import copy
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import caches

from tests import factories
from wechat_notify.backends import locmem, registry
from wechat_notify.delivery import content
from wechat_notify.sandbox.server import Sandbox


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


@pytest.fixture(autouse=True)
def clean_slate() -> Iterator[None]:
    """No token, breaker, outbox or warning of another test."""
    caches["default"].clear()
    locmem.clear()
    content.forget_told()
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
        TIMEOUT=(2, 2),
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
