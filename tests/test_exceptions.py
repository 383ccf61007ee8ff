"""What an error says to the person who meets it."""

import importlib
import inspect
import pickle
import pkgutil

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

import wechat_notify
from wechat_notify import exceptions
from wechat_notify.exceptions import (
    AccountNotConfigured,
    ConfigurationError,
    InvalidData,
    Problem,
    TokenError,
    TransportError,
    WeChatError,
    WeChatNotifyError,
)

PROBLEMS = [
    Problem("thing1", "is missing"),
    Problem("thing2", "must be at most 20 characters", "x" * 21, "alice"),
    Problem("thing2", "is empty", "", "bob"),
]


def test_invalid_data_names_every_bad_field_and_no_good_one() -> None:
    """All problems, for whom, and the template, in one line."""
    assert str(InvalidData(PROBLEMS, template="order_paid")) == (
        "Template 'order_paid': thing1: is missing; "
        "thing2 (alice): must be at most 20 characters; thing2 (bob): is empty"
    )
    assert str(InvalidData(PROBLEMS[:1])) == "thing1: is missing"


def test_invalid_data_by_field() -> None:
    """As a Django form wants it."""
    assert InvalidData(iter(PROBLEMS)).as_dict() == {
        "thing1": ["is missing"],
        "thing2": ["alice: must be at most 20 characters", "bob: is empty"],
    }


def test_invalid_data_is_a_value_error() -> None:
    """Code that does not know the app catches what it expects."""
    assert issubclass(InvalidData, ValueError)
    assert issubclass(exceptions.TemplateNotFound, LookupError)


def test_a_wechat_error_says_cause_and_next_step() -> None:
    """Plain words first, the errcode at the end; WeChat's own words where there are no others."""
    error = WeChatError(43004, "require subscribe", cause="Not a follower.", next_step="Ask them.")
    assert str(error) == "Not a follower. Ask them. (errcode 43004)"
    assert str(WeChatError(99999, "odd")) == "odd (errcode 99999)"
    assert WeChatError(1, answer={"msgid": 5}).answer == {"msgid": 5}


def test_an_error_is_set_as_its_language_sets_it() -> None:
    """Chinese sentences follow each other without a blank, in Chinese brackets."""
    with translation.override("zh-hans"):
        said = str(WeChatError(43004, cause="对方没有关注公众号。", next_step="请对方重新关注。"))
    assert said == "对方没有关注公众号。请对方重新关注。（错误码 43004）"


def test_a_token_error_knows_the_address() -> None:
    """40164 names the address that has to be put on the whitelist."""
    error = TokenError(40164, "not in whitelist", ip="203.0.113.7", cause="Not on the whitelist.")
    assert (error.ip, error.errcode) == ("203.0.113.7", 40164)
    assert isinstance(error, WeChatError)


def test_a_transport_error_knows_whether_it_left() -> None:
    """The difference between "send it again" and "nobody knows"."""
    error = TransportError("no connection", maybe_sent=False, status=502)
    assert (error.maybe_sent, error.status, str(error)) == (False, 502, "no connection")


@pytest.mark.parametrize(
    "name",
    [
        "TemplateNotFound",
        "BindingConflict",
        "InvalidData",
        "PlaceholderError",
        "TransportError",
        "WeChatError",
        "RefusedTokenError",
    ],
)
def test_runtime_errors_have_one_base(name: str) -> None:
    """One except clause catches them all."""
    assert issubclass(getattr(exceptions, name), WeChatNotifyError)


def test_every_exception_stands_in_one_place() -> None:
    """A site need not know which module raises what it wants to catch."""
    elsewhere = []
    for found in pkgutil.walk_packages(wechat_notify.__path__, "wechat_notify."):
        if found.name.startswith(("wechat_notify.sandbox", "wechat_notify.migrations")):
            continue
        module = importlib.import_module(found.name)
        for name, value in inspect.getmembers(module, inspect.isclass):
            own = value.__module__ == module.__name__ and not name.startswith("_")
            if own and issubclass(value, Exception) and module is not exceptions:
                elsewhere.append(f"{module.__name__}.{name}")
    assert elsewhere == []


def test_configuration_errors_are_djangos() -> None:
    """A wrong deployment is ImproperlyConfigured, like every other in a Django project."""
    assert issubclass(ConfigurationError, ImproperlyConfigured)
    assert issubclass(AccountNotConfigured, ConfigurationError)


def test_problems_travel() -> None:
    """A task queue can hand the problems on."""
    assert pickle.loads(pickle.dumps(PROBLEMS)) == PROBLEMS  # noqa: S301
