"""WECHAT_NOTIFY: defaults, what is refused and how it is said, and secrets kept to itself."""

import pickle
import traceback
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from wechat_notify.conf import KEYS, AccountConfig, DispatcherConfig, Rate
from wechat_notify.conf import settings as conf
from wechat_notify.exceptions import AccountNotConfigured, InvalidSettings, WeChatNotifyError

SECRETS = {
    "APP_SECRET": "secret-app-4d1f",
    "CALLBACK_TOKEN": "secret-token-77ab",
    "ENCODING_AES_KEY": "secret-aes-c0de",
    "PREVIOUS_ENCODING_AES_KEY": "secret-old-aes-beef",
}
ACCOUNT = {"APP_ID": "wx1", **SECRETS, "OPTIONS": {"ca_bundle": "/secret/path"}}


def configured(**values: Any) -> Any:
    return override_settings(WECHAT_NOTIFY={"ACCOUNTS": {"default": ACCOUNT}, **values})


def test_the_defaults(settings: Any) -> None:
    """Without the setting everything has a sensible value and there is no account."""
    del settings.WECHAT_NOTIFY
    assert conf.aliases == []
    assert (conf.CACHE, conf.SITE_URL, conf.INVALID_DATA) == ("default", "", "raise")
    assert conf.DISPATCHER.path.endswith("BackgroundDispatcher")
    assert (conf.CONCURRENCY, conf.BATCH_SIZE) == (32, 500)
    assert (conf.TIMEOUT, conf.LEASE, conf.MAX_ATTEMPTS) == ((5, 10), 60, 5)
    assert (conf.RATE, conf.RETENTION_DAYS) == (None, 180)
    assert conf.APPROVAL_ABOVE is None


def test_an_accounts_defaults() -> None:
    """An app id and a secret are all that an account needs."""
    with override_settings(WECHAT_NOTIFY={"ACCOUNTS": {"default": {"APP_ID": "wx1"}}}):
        account = conf.account("default")
    assert account == AccountConfig(
        alias="default",
        name="default",
        backend="wechat_notify.backends.wechat.WeChatBackend",
        app_id="wx1",
        app_secret="",
        api_base="https://api.weixin.qq.com",
        authorize_base="https://open.weixin.qq.com",
        token_mode="stable",
        callback_token="",
        encoding_aes_key="",
        previous_encoding_aes_key="",
        concurrency=32,
        rate=None,
        timeout=(5, 10),
        options={},
    )


def test_settings_are_read_when_asked() -> None:
    """override_settings holds inside its block and no longer."""
    before = conf.CONCURRENCY
    with configured(CONCURRENCY=2):
        assert conf.CONCURRENCY == 2
    assert before == conf.CONCURRENCY


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("TIMEOUT", [0.5, 2], (0.5, 2.0)),
        ("LEASE", 15.1, 15.1),
        ("RATE", "100/s", Rate(100, 1)),
        ("RATE", "3000/m", Rate(3000, 60)),
        ("RATE", "50000/h", Rate(50_000, 3600)),
        ("RATE", None, None),
        ("APPROVAL_ABOVE", None, None),
        ("APPROVAL_ABOVE", 1, 1),
        ("INVALID_DATA", "trim", "trim"),
        ("CONCURRENCY", 128, 128),
        ("SITE_URL", "https://school.example/", "https://school.example"),
        ("DISPATCHER", "a.B", DispatcherConfig("a.B", {})),
        ("DISPATCHER", {"BACKEND": "a.B"}, DispatcherConfig("a.B", {})),
        (
            "DISPATCHER",
            {"BACKEND": "a.B", "OPTIONS": {"queue": "x"}},
            DispatcherConfig("a.B", {"queue": "x"}),
        ),
    ],
)
def test_good_values(name: str, value: Any, read: Any) -> None:
    """Every form that the documentation shows is read."""
    with configured(**{name: value}):
        assert getattr(conf, name) == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("CONCURRENCY", "BATCH_SIZE", "MAX_ATTEMPTS")
            for value in (0, -1, 1.5, "5", True)
        ),
        ("RETENTION_DAYS", 0),
        ("RETENTION_DAYS", None),
        ("CONCURRENCY", 129),
        *(("APPROVAL_ABOVE", value) for value in (0, -1, 1.5, "100", True, False)),
        ("BATCH_SIZE", 10_001),
        *(("TIMEOUT", value) for value in (5, None, (5,), (1, 2, 3), "55", (0, 1), (1, True))),
        *(("LEASE", value) for value in (15, 0, None, "60", True)),
        *(
            ("RATE", value)
            for value in (100, "100", "100/d", "/s", "0/s", "-1/s", "1.5/s", "１/s", "")
        ),
        ("INVALID_DATA", "ignore"),
        ("INVALID_DATA", None),
        ("BINDING_CONFLICT", "ignore"),
        *(("SITE_URL", value) for value in ("school.example", "ftp://x", None)),
        ("CACHE", None),
        *(
            ("DISPATCHER", value)
            for value in (
                dict,
                {},
                {"OPTIONS": {}},
                {"BACKEND": dict},
                {"BACKEND": "a.B", "OPTIONS": ["queue"]},
                {"BACKEND": "a.B", "QUEUE": "x"},
            )
        ),
    ],
)
def test_a_wrong_value_names_its_setting(name: str, value: Any) -> None:
    """What is wrong, what was given, and nothing to guess."""
    with configured(**{name: value}), pytest.raises(InvalidSettings) as caught:
        getattr(conf, name)
    assert f'WECHAT_NOTIFY["{name}"]' in str(caught.value)
    assert repr(value) in str(caught.value)


def test_a_lease_must_outlive_both_timeouts() -> None:
    """A row could not be sent in time otherwise; the message says how long they are."""
    with configured(LEASE=20, TIMEOUT=(10, 10)), pytest.raises(InvalidSettings, match=r"\(20\)"):
        _ = conf.LEASE


def test_an_account_may_have_a_pace_of_its_own() -> None:
    """CONCURRENCY, RATE and TIMEOUT outside ACCOUNTS are the default for all accounts."""
    own = {"CONCURRENCY": 4, "RATE": None, "TIMEOUT": (1, 2)}
    wanted = {"ACCOUNTS": {"default": {}, "shop": own}, "CONCURRENCY": 8, "RATE": "5/s"}
    with override_settings(WECHAT_NOTIFY=wanted):
        default, shop = conf.account("default"), conf.account("shop")
    assert (default.concurrency, default.rate, default.timeout) == (8, Rate(5, 1), (5, 10))
    assert (shop.concurrency, shop.rate, shop.timeout) == (4, None, (1, 2))


@pytest.mark.parametrize(
    ("key", "value"), [("CONCURRENCY", 129), ("RATE", "fast"), ("TIMEOUT", 5), ("TIMEOUT", None)]
)
def test_a_wrong_pace_of_one_account_stops_only_that_one(key: str, value: Any) -> None:
    """The error names the account and the key, and the other accounts can be read."""
    wanted = {"ACCOUNTS": {"default": {}, "shop": {key: value}}}
    with override_settings(WECHAT_NOTIFY=wanted):
        with pytest.raises(InvalidSettings, match=f'"shop": {key} must be'):
            conf.account("shop")
        assert [account.alias for account in conf.usable_accounts] == ["default"]
        assert conf.LEASE == 60


def test_a_lease_must_outlive_the_calls_of_every_account() -> None:
    """The longest TIMEOUT of any account counts, whoever does not use it."""
    wanted = {"ACCOUNTS": {"default": {}, "slow": {"TIMEOUT": (10, 50)}}, "LEASE": 60}
    with override_settings(WECHAT_NOTIFY=wanted), pytest.raises(InvalidSettings, match=r"\(60\)"):
        _ = conf.LEASE


@pytest.mark.parametrize("value", ["x", 5, [1]])
def test_settings_must_be_a_dict(value: Any) -> None:
    """The whole setting, its ACCOUNTS and each account are dicts."""
    with override_settings(WECHAT_NOTIFY=value), pytest.raises(InvalidSettings):
        _ = conf.aliases
    with override_settings(WECHAT_NOTIFY={"ACCOUNTS": value}), pytest.raises(InvalidSettings):
        _ = conf.aliases
    accounts = {"ACCOUNTS": {"default": value}}
    with override_settings(WECHAT_NOTIFY=accounts), pytest.raises(InvalidSettings, match="default"):
        conf.account("default")


def test_an_unknown_alias_names_those_there_are() -> None:
    """The error helps with a typing mistake, and where there is no account at all."""
    with configured(), pytest.raises(AccountNotConfigured, match=r"'shop'.*configured: 'default'"):
        conf.account("shop")
    with override_settings(WECHAT_NOTIFY={}), pytest.raises(AccountNotConfigured, match="none"):
        conf.account("default")


@pytest.mark.parametrize("key", [*SECRETS, "APP_ID", "API_BASE", "BACKEND", "TOKEN_MODE"])
def test_account_values_must_be_text(key: str) -> None:
    """A value of another type is refused by name and not shown, for it may be a secret."""
    wrong = ["secret-in-a-list"]
    account = {**ACCOUNT, key: wrong}
    with override_settings(WECHAT_NOTIFY={"ACCOUNTS": {"default": account}}):
        with pytest.raises(InvalidSettings, match=f'"default": {key} must be a string') as caught:
            conf.account("default")
        assert "secret-" not in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("TOKEN_MODE", "fast"), ("OPTIONS", ["x"])])
def test_account_values_of_another_kind(key: str, value: Any) -> None:
    """Token mode is one of two, options are a dict."""
    accounts = {"ACCOUNTS": {"default": {key: value}}}
    says = f'"default": {key} must be'
    with override_settings(WECHAT_NOTIFY=accounts), pytest.raises(InvalidSettings, match=says):
        conf.account("default")


def test_bases_have_no_slash_at_the_end() -> None:
    """A path is appended to them."""
    account = {"API_BASE": "http://127.0.0.1:1/", "AUTHORIZE_BASE": "http://127.0.0.1:2/"}
    with override_settings(WECHAT_NOTIFY={"ACCOUNTS": {"default": account}}):
        config = conf.account("default")
    assert (config.api_base, config.authorize_base) == ("http://127.0.0.1:1", "http://127.0.0.1:2")


def test_no_secret_in_any_repr() -> None:
    """Neither an account, nor the settings, nor what is raised about them shows a secret."""
    with configured():
        account = conf.account("default")
    with configured(RATE="fast", CACHE=None):
        shown = [repr(account), str(account), f"{account!r:>5}", repr(conf), str(conf)]
        for name in ("RATE", "CACHE", "nothing"):
            with pytest.raises((ImproperlyConfigured, AttributeError)) as wrong:
                getattr(conf, name)
            shown += [str(wrong.value), repr(wrong.value)]
            shown += traceback.format_exception(wrong.value)
        with pytest.raises(AccountNotConfigured) as missing:
            conf.account("shop")
        shown += [str(missing.value), repr(missing.value)]
    assert "wx1" in shown[0]
    for text in shown:
        assert not any(secret in text for secret in (*SECRETS.values(), "/secret/path"))


def test_misconfiguration_is_outside_the_runtime_errors() -> None:
    """Who catches the app's errors around a send does not swallow a wrong deployment."""
    assert issubclass(InvalidSettings, ImproperlyConfigured)
    assert not issubclass(InvalidSettings, WeChatNotifyError)


def test_every_setting_has_a_property() -> None:
    """A key that is accepted can also be read."""
    properties = {name for name in dir(type(conf)) if name.isupper()}
    assert properties == KEYS.keys()


def test_an_account_can_be_compared_and_pickled() -> None:
    """Backends are kept by it, and a changed secret makes another one."""
    with configured():
        account = conf.account("default")
    assert pickle.loads(pickle.dumps(account)) == account  # noqa: S301
