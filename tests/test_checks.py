"""manage.py check: every id, and silence where all is well."""

import copy
import io
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection

from tests.factories import make_template
from wechat_notify import declarations
from wechat_notify.checks import check_declarations, check_deployment, check_settings
from wechat_notify.declarations import declare
from wechat_notify.models import MessageTemplate

pytestmark = pytest.mark.usefixtures("own_declarations")
SECRET = "0123456789abcdef0123456789abcdef"


def ids(found: list[checks.CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("wechat_notify.") for message in found]


# -- settings ---------------------------------------------------------------------------------


def test_good_settings_are_silent() -> None:
    """The suite's own settings have nothing wrong with them."""
    assert check_settings() == []


DATABASE_CACHE = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}
LOCAL_CACHE = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


def test_a_cache_of_each_process_is_told_before_a_deploy(settings: Any, db: None) -> None:
    """W002: only ``check --deploy`` says so, and only of the cache that the app uses."""
    settings.CACHES = {"default": LOCAL_CACHE, "shared": DATABASE_CACHE}
    assert ids(checks.run_checks(tags=["wechat_notify"])) == []
    deploy = checks.run_checks(tags=["wechat_notify"], include_deployment_checks=True)
    assert "W002" in ids(deploy)
    settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "CACHE": "shared"}
    assert check_deployment() == []
    for value in ({}, "x"):
        settings.WECHAT_NOTIFY = value
        assert check_deployment() == []


def test_naive_times_are_an_error(settings: Any) -> None:
    """E009: nothing that this app does works with USE_TZ = False."""
    settings.USE_TZ = False
    (error,) = check_settings()
    assert (error.id, "USE_TZ" in error.msg) == ("wechat_notify.E009", True)


@pytest.mark.parametrize("value", ["x", None, {"ACCOUNTS": ["default"]}])
def test_settings_of_the_wrong_shape(settings: Any, value: Any) -> None:
    """E001: WECHAT_NOTIFY or its ACCOUNTS is no dict; nothing else can be looked at."""
    settings.WECHAT_NOTIFY = value
    assert ids(check_settings()) == ["E001"]


def test_missing_settings_have_no_account(settings: Any) -> None:
    """W001: without accounts nothing can be sent."""
    del settings.WECHAT_NOTIFY
    (warning,) = check_settings()
    assert warning.id == "wechat_notify.W001"
    assert "APP_ID" in str(warning.hint)


def test_an_unknown_setting(configure: Callable[..., None]) -> None:
    """E002: a misspelt name is found, and those there are are listed."""
    configure(TIMEOUTS=(1, 1))
    (error,) = check_settings()
    assert (error.id, '"TIMEOUTS"' in error.msg) == ("wechat_notify.E002", True)
    assert "TIMEOUT," in str(error.hint)


def test_an_unknown_account_setting(configure: Callable[..., None]) -> None:
    """E003: the same inside an account, which is named."""
    configure(default={"APPID": "wx"})
    (error,) = check_settings()
    assert error.id == "wechat_notify.E003"
    assert '"default"' in error.msg
    assert '"APPID"' in error.msg


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONCURRENCY", 1000),
        ("BATCH_SIZE", "500"),
        ("TIMEOUT", 5),
        ("MAX_ATTEMPTS", 0),
        ("LEASE", 15),
        ("RATE", "fast"),
        ("INVALID_DATA", "ignore"),
        ("RETENTION_DAYS", -1),
        ("SITE_URL", "school.example"),
    ],
)
def test_a_wrong_value(configure: Callable[..., None], name: str, value: Any) -> None:
    """E004: each wrong value once, with the name of its setting."""
    configure(**{name: value})
    (error,) = check_settings()
    assert error.id == "wechat_notify.E004"
    assert f'["{name}"]' in error.msg


@pytest.mark.parametrize("alias", ["nowhere", 5])
def test_an_unknown_cache(configure: Callable[..., None], alias: Any) -> None:
    """E005: CACHE must be an alias of CACHES."""
    configure(CACHE=alias)
    assert ids(check_settings()) == ["E005"]


def test_a_cache_that_keeps_nothing(settings: Any) -> None:
    """E006: with the dummy cache each message would fetch a token."""
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {"default": dummy}
    assert ids(check_settings()) == ["E006"]


def test_an_unusable_dispatcher(configure: Callable[..., None]) -> None:
    """E007: the dispatcher must be importable and a BaseDispatcher."""
    for path in ("nowhere.Dispatcher", "builtins.dict"):
        configure(DISPATCHER=path)
        (error,) = check_settings()
        assert error.id == "wechat_notify.E007"
        assert path in error.msg


@pytest.mark.parametrize(
    "account",
    [
        {"BACKEND": "nowhere.Backend"},
        {"BACKEND": "builtins.dict"},
        {"OPTIONS": {"colour": "red"}},
        {"OPTIONS": None},
        {"TOKEN_MODE": "fast"},
        {"APP_SECRET": None},
    ],
)
def test_an_unusable_account(configure: Callable[..., None], account: dict[str, Any]) -> None:
    """E008: what keeps a backend from being made names the account and no secret."""
    configure(default=account)
    (error,) = check_settings()
    assert error.id == "wechat_notify.E008"
    assert '"default"' in error.msg
    assert SECRET not in error.msg


def test_an_account_that_is_no_dict(settings: Any) -> None:
    """E008 too: an account that is only an app id."""
    wanted = copy.deepcopy(settings.WECHAT_NOTIFY)
    wanted["ACCOUNTS"]["other"] = "wx0123456789abcdef"
    settings.WECHAT_NOTIFY = wanted
    assert ids(check_settings()) == ["E008"]


def test_a_backends_own_checks_are_asked(configure: Callable[..., None]) -> None:
    """E010 to E019 come from the backend: here, credentials that are missing."""
    configure(
        default={
            "BACKEND": "wechat_notify.backends.wechat.WeChatBackend",
            "APP_ID": "",
            "APP_SECRET": "",
        }
    )
    assert ids(check_settings())[:2] == ["E010", "E011"]


# -- declarations -----------------------------------------------------------------------------


def declared_problems(*databases: str) -> list[str]:
    return ids(check_declarations(databases=databases or ["default"]))


@pytest.mark.django_db
def test_a_template_that_is_as_declared_is_silent() -> None:
    """Same fields in any order; first and remark may be there or not."""
    make_template(content="{{first.DATA}}{{thing1.DATA}}{{time2.DATA}}")
    declare("order_paid", fields=["time2", "thing1"])
    declare("order_paid", fields=["time2", "thing1", "remark"])
    declare("order_paid")
    assert declared_problems() == []


def test_an_unknown_account_is_found_without_a_database() -> None:
    """E020: the settings alone show it."""
    declare("order_paid", account="nowhere")
    (error,) = check_settings()
    assert error.id == "wechat_notify.E020"
    assert '"nowhere"' in error.msg


@pytest.mark.django_db
def test_declared_names_are_those_of_the_template(template: MessageTemplate) -> None:
    """Names count as their keys; a name and the key of the same field is one too many."""
    template.field_names = {"order_no": "character_string1", "title": "thing2", "note": ""}
    template.save()
    declare("order_paid", fields=["order_no", "thing2", "note"])
    assert check_declarations(databases=["default"]) == []
    declare("order_paid", fields=["order_no", "title", "thing2"])
    [twice] = check_declarations(databases=["default"])
    assert twice.id == "wechat_notify.E024"
    assert "title" in twice.msg


@pytest.mark.django_db
def test_wrong_field_names_are_found_at_deploy(template: MessageTemplate) -> None:
    """Every problem of every template, also of one that no code declares."""
    make_template("declared", field_names={})
    declare("declared")
    template.field_names = {"order_no": "thing9", "title": "thing2", "product": "thing2"}
    template.save()
    [wrong] = check_declarations(databases=["default"])
    assert wrong.id == "wechat_notify.E023"
    for name in ("order_no (thing9)", "title (thing2)", "product (thing2)"):
        assert name in wrong.msg


@pytest.mark.django_db
def test_a_renamed_field_breaks_the_deploy(template: MessageTemplate) -> None:
    """E021 and E022: what code fills in and the template lacks, and the other way round."""
    declare("order_paid", fields=["character_string1", "thing3"])
    unknown, missing = check_declarations(databases=["default"])
    assert (unknown.id, missing.id) == ("wechat_notify.E021", "wechat_notify.E022")
    assert '"order_paid" of account "default" has no field thing3' in unknown.msg
    assert "needs thing2" in missing.msg
    assert unknown.hint.startswith("It has: character_string1, thing2.")


@pytest.mark.django_db
def test_a_template_that_is_not_registered(template: MessageTemplate) -> None:
    """W020: a warning, because a new template is registered after the code that uses it."""
    declare("order_piad", fields=["thing2"])
    declare("order_paid", account="other")
    assert declared_problems() == ["W020", "W020"]


@pytest.mark.django_db
def test_a_template_that_is_not_active(template: MessageTemplate) -> None:
    """W021: sending with it would be refused."""
    template.is_active = False
    template.save()
    declare("order_paid")
    assert declared_problems() == ["W021"]


@pytest.mark.django_db
def test_a_template_without_content_is_not_compared() -> None:
    """A template registered by hand may have no content yet."""
    make_template(content="")
    declare("order_paid", fields=["thing1"])
    assert declared_problems() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("databases", "expected"), [(None, 0), (["elsewhere"], 0), (["default"], 1)]
)
def test_the_database_is_read_only_where_django_asks(
    databases: Any, expected: int, django_assert_num_queries: Any
) -> None:
    """One query, and none in a command that was not asked to look into this database."""
    for number in range(5):
        declare(f"template{number}")
    with django_assert_num_queries(expected):
        check_declarations(databases=databases)


@pytest.mark.django_db
def test_nothing_declared_costs_nothing(django_assert_num_queries: Any) -> None:
    """A site that declares nothing pays nothing."""
    with django_assert_num_queries(0):
        assert check_declarations(databases=["default"]) == []


@pytest.mark.django_db
def test_a_database_that_is_not_migrated_is_no_problem() -> None:
    """Before the first migrate there is no table, and nothing to say."""
    declare("order_paid")

    def no_table(execute: Any, sql: str, *rest: Any) -> Any:
        raise DatabaseError('relation "wechat_notify_messagetemplate" does not exist')

    with connection.execute_wrapper(no_table):
        assert declared_problems() == []


@pytest.mark.django_db(databases=["default", "elsewhere"], transaction=True)
def test_the_check_command_finds_it(template: MessageTemplate) -> None:
    """``check --tag wechat_notify --database default`` exits with the error; others do not ask."""
    declare("order_paid", fields=["thing9"])
    call_command("check", stdout=io.StringIO(), stderr=io.StringIO())
    with pytest.raises(CommandError, match=r"wechat_notify\.E021"):
        call_command("check", "--tag", "wechat_notify", "--database", "default")


@pytest.mark.django_db
def test_a_plain_migrate_stops_at_it(template: MessageTemplate) -> None:
    """The deploy ends here, without anybody having asked for checks."""
    declare("order_paid", fields=["thing9"])
    # From a shell that is the default; call_command alone would skip the checks.
    with pytest.raises(SystemCheckError, match=r"wechat_notify\.E021"):
        call_command("migrate", skip_checks=False, verbosity=0)


def test_declaring_twice_is_declaring_once() -> None:
    """A module that is imported twice, or two calls with the same template, add nothing."""
    assert declare("order_paid", fields=["a", "b"]) == declare("order_paid", fields=("b", "a"))
    assert len(declarations.declared) == 1


def test_fields_are_several_names() -> None:
    """One text would be taken for its letters."""
    with pytest.raises(TypeError, match=r"\['thing1'\]"):
        declare("order_paid", fields="thing1")


# -- the site ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        ("tests.urls", []),
        ("tests.translated_urls", ["W040"]),
        ("tests.translated_urls.but_not_the_main_language", []),
        ("tests.translated_urls.without_the_app", []),
    ],
)
def test_addresses_inside_i18n_patterns(settings: Any, urls: str, found: list[str]) -> None:
    """W040: WeChat calls the address that the docs name, and is answered 302."""
    settings.ROOT_URLCONF = urls
    if "." in urls.removeprefix("tests."):
        module, _, name = urls.rpartition(".")
        settings.ROOT_URLCONF = getattr(import_module(module), name)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    assert ids(check_settings()) == found


@pytest.mark.parametrize(("value", "found"), [("Lax", []), ("Strict", ["W041"]), (False, [])])
def test_a_session_that_does_not_come_back(settings: Any, value: Any, found: list[str]) -> None:
    """W041: browsers keep such a cookie back on the way from WeChat to the site."""
    settings.SESSION_COOKIE_SAMESITE = value
    assert ids(check_settings()) == found
