"""Where a tap leads, and what people no longer see."""

import logging
import warnings
from typing import Any

import pytest
from django.contrib import admin
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import ORDER, make_binding, make_template, openid
from wechat_notify.backends import locmem
from wechat_notify.exceptions import NotShownWarning
from wechat_notify.models import MessageTemplate
from wechat_notify.services import notify
from wechat_notify.writing.content import (
    absolute_url,
    checked_data,
    link_problems,
    with_scheme,
)

PROGRAM = {"appid": "wxprogram", "pagepath": "pages/order?id=1"}

# -- links ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("", ""),
        ("/view/1/", "https://school.example/view/1/"),
        ("view/1/", "https://school.example/view/1/"),
        ("?page=2", "https://school.example/?page=2"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("http://school.example/a", "http://school.example/a"),
        ("HTTPS://other.example/a", "HTTPS://other.example/a"),
    ],
)
@pytest.mark.parametrize("site", ["https://school.example", "https://school.example/"])
def test_a_relative_link_goes_behind_the_sites_address(
    configure: Any, url: str, sent: str, site: str
) -> None:
    """WeChat opens whole addresses only."""
    configure(SITE_URL=site)
    assert absolute_url(url) == sent


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("www.baidu.com", "https://www.baidu.com"),
        ("  www.baidu.com  ", "https://www.baidu.com"),
        ("www.baidu.com/s?wd=校服#1", "https://www.baidu.com/s?wd=校服#1"),
        ("school.example:8080/x", "https://school.example:8080/x"),
        ("my-school.edu.cn?x=1", "https://my-school.edu.cn?x=1"),
        ("阳光.中国/通知", "https://阳光.中国/通知"),
        ("www。baidu．com/a。b", "https://www.baidu.com/a。b"),
        ("/www.baidu.com", "/www.baidu.com"),
        ("orders/1/", "orders/1/"),
        ("page.html", "page.html"),
        ("detail.php?id=1", "detail.php?id=1"),
        ("v1.0/orders", "v1.0/orders"),
        ("file.name.2/x", "file.name.2/x"),
        ("", ""),
        (None, None),
    ],
)
def test_a_host_without_a_scheme_gets_one(url: Any, whole: Any) -> None:
    """What begins with a host is another site's address; a path of this site stays one."""
    assert with_scheme(url) == whole


@given(st.text(max_size=40))
def test_a_link_is_repaired_once_and_no_path_is_taken_for_a_host(text: str) -> None:
    """Whatever is typed: a second repair changes nothing, and a "/" at the start is respected."""
    once = with_scheme(text)
    assert with_scheme(once) == once
    assert with_scheme(f"/{text}") == f"/{text}".strip()


@pytest.mark.django_db
def test_notify_repairs_a_link_too(configure: Any) -> None:
    """A link from data, such as a shop's own website, opens that site and not a page of this."""
    notification = notify(make_binding(), make_template(), ORDER, url="www.baidu.com")
    assert notification.url == "https://www.baidu.com"
    template = make_template("old", url="shop.example/orders")
    assert notify(openid(2), template, ORDER).url == "https://shop.example/orders"


def test_a_link_that_nobody_can_complete_is_told(
    configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without SITE_URL and Sites a relative link is sent as it is, and the log says what to do."""
    configure(SITE_URL="")
    with caplog.at_level(logging.WARNING, "wechat_notify"):
        assert absolute_url("/view/1/") == "/view/1/"
    assert "SITE_URL" in caplog.text


@pytest.fixture
def sites(settings: Any, configure: Any) -> Any:
    """django.contrib.sites, installed and with nothing configured."""
    configure(SITE_URL="")
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.sites"]
    from django.contrib.sites import models

    yield models
    models.SITE_CACHE.clear()
    # Its admin registered itself when it was installed, and would stay behind.
    if admin.site.is_registered(models.Site):
        admin.site.unregister(models.Site)


def test_the_current_site_completes_a_link(sites: Any, settings: Any) -> None:
    """Where django.contrib.sites is in use, its domain is taken."""
    settings.SITE_ID = 7
    sites.SITE_CACHE[7] = sites.Site(domain="site.example")
    assert absolute_url("/view/1/") == "https://site.example/view/1/"


def test_sites_half_set_up_are_no_reason_not_to_send(sites: Any) -> None:
    """Without SITE_ID the link stays as it is."""
    assert absolute_url("/view/1/") == "/view/1/"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("javascript:alert(1)", "must start with http"),
        (" JavaScript:alert(1)", "must start with http"),
        ("java\nscript:alert(1)", "must start with http"),
        ("data:text/html,x", "must start with http"),
        ("mailto:a@b.example", "must start with http"),
        ("http://[", "must start with http"),
        ("https：//www.baidu.com", "must start with http"),
        ("http//www.baidu.com", "must start with http"),
        ("https:/www.baidu.com", "must start with http"),
        ("https:///x", "must start with http"),
        ("http:www.baidu.com", "must start with http"),
        ("/" + "x" * 2048, "longer than 2048"),
        (None, "must be a text"),
        (5, "must be a text"),
    ],
)
def test_a_link_that_is_none_is_refused(url: Any, says: str) -> None:
    """Scripts, other schemes and what is no text never get onto a card."""
    assert [(problem.field, says in problem.message) for problem in link_problems(url, None)] == [
        ("url", True)
    ]


@pytest.mark.parametrize(
    "program",
    [
        {},
        {"appid": ""},
        {"pagepath": "x"},
        {"appid": 5, "pagepath": "x"},
        {"appid": "wx", "pagepath": None},
        {"appid": "wx", "path": "x"},
        "wx",
    ],
)
def test_a_mini_program_needs_appid_and_page(program: Any) -> None:
    """A wrong key, which WeChat would ignore, is refused."""
    assert [problem.field for problem in link_problems("", program)] == ["miniprogram"]


@pytest.mark.django_db
def test_the_templates_own_links_are_the_default(
    django_capture_on_commit_callbacks: Any,
) -> None:
    """A call without links leads where the template says; its own links win."""
    template = make_template(
        url="/orders/", miniprogram_appid="wxa", miniprogram_pagepath="pages/orders"
    )
    binding = make_binding()
    with django_capture_on_commit_callbacks(execute=True):
        notify(binding, template, ORDER)
        notify(binding, template, ORDER, url="/view/1/", miniprogram=PROGRAM)  # type: ignore[arg-type]
    first, second = locmem.outbox
    assert first.url == "https://school.example/orders/"
    assert first.miniprogram == {"appid": "wxa", "pagepath": "pages/orders"}
    assert second.url == "https://school.example/view/1/"
    assert second.miniprogram == PROGRAM


@pytest.mark.django_db
def test_a_mini_program_without_a_page_opens_its_start(template: MessageTemplate) -> None:
    """Every backend finds both keys, whatever the caller left out."""
    notification = notify([], template, ORDER, miniprogram={"appid": "wxa"})  # type: ignore[typeddict-item]
    assert notification.miniprogram == {"appid": "wxa", "pagepath": ""}


# -- what people no longer see ----------------------------------------------------------------

OLD_CONTENT = "{{first.DATA}}\n商品：{{keyword1.DATA}}\n{{remark.DATA}}"


@pytest.mark.django_db
def test_what_is_no_longer_shown_is_accepted_and_told_once() -> None:
    """Old code goes on working, and a warning for each name names the template."""
    template = make_template("old", content=OLD_CONTENT)
    data = {"first": "您好", "keyword1": {"value": "围巾", "color": "#173177"}, "remark": "谢谢"}
    with pytest.warns(NotShownWarning) as told:
        notification = notify([], template, data)
    assert sorted(str(warning.message) for warning in told) == [
        f"Template 'old': WeChat accepts '{name}' but no longer shows it."
        for name in ("color", "first", "remark")
    ]
    assert notification.data["keyword1"] == {"value": "围巾", "color": "#173177"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notify([], template, data)


@pytest.mark.django_db
def test_the_warning_points_at_the_caller() -> None:
    """The line that is shown is the site's own and not one of the app."""
    template = make_template("old", content=OLD_CONTENT)
    with pytest.warns(NotShownWarning) as told:
        notify([], template, {"first": "您好", "keyword1": "围巾"})
    assert told[0].filename == __file__


@pytest.mark.django_db
def test_nothing_is_told_of_data_that_is_none(template: MessageTemplate) -> None:
    """Data of the wrong kind is a problem and no warning."""
    assert [problem.field for problem in checked_data(template, "first")[1]] == ["data"]
