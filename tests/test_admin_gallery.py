"""The gallery: all templates as the cards that people get."""

import pytest
from django.contrib import admin
from django.db import connection
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import browser, page, text
from tests.compose_pages import composer
from tests.factories import make_template

pytestmark = pytest.mark.django_db


def test_every_template_is_there_with_its_example() -> None:
    """By account, with WeChat's own example values and a way to the template."""
    first = make_template(example="订单编号：2026\n商品名称：帽子")
    make_template("elsewhere", account="other", title="缴费提醒")
    shown = text(browser("view_messagetemplate").get(page("messagetemplate", "gallery")))
    assert "帽子" in shown
    assert shown.count('<article class="wechat-card">') == 2
    assert page("messagetemplate", "change", first.pk) in shown
    assert shown.index(">default</h2>") < shown.index(">other</h2>")


def test_what_cannot_be_used_is_grey_and_says_why() -> None:
    """After those that can be used."""
    make_template("gone", is_active=False, missing_since=timezone.now())
    make_template("used")
    shown = text(browser("view_messagetemplate").get(page("messagetemplate", "gallery")))
    assert shown.count("wechat-gallery__inactive") == 1
    assert "WeChat has not listed it since" in shown
    assert shown.index("<code>used</code>") < shown.index("<code>gone</code>")


def test_an_empty_gallery_says_what_to_do_first() -> None:
    """Templates come from WeChat."""
    shown = text(browser("view_messagetemplate").get(page("messagetemplate", "gallery")))
    assert "There are no templates yet." in shown


def test_the_site_is_asked_once_for_a_persons_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer may take a query: many templates ask no more of the database than one."""

    def allowed(request: HttpRequest, account: str) -> bool:
        return not request.user.groups.filter(name=f"not-{account}").exists()

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)
    client, counts = composer("view_notification", "view_messagetemplate"), []
    for names in (["first"], [f"t{number}" for number in range(20)]):
        for name in names:
            make_template(name)
        with CaptureQueriesContext(connection) as queries:
            shown = text(client.get(page("messagetemplate", "gallery")))
        counts.append(len(queries))
    assert shown.count("?template=") == 21
    assert counts[0] == counts[1]


def test_the_list_leads_here_at_a_constant_price(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """One query for all templates."""
    for number in range(20):
        make_template(f"t{number}")
    client = browser("view_messagetemplate")
    assert page("messagetemplate", "gallery") in text(client.get(page("messagetemplate")))
    with django_assert_max_num_queries(5):
        client.get(page("messagetemplate", "gallery"))
