"""The app's admins are imported when they are used; a site notices nothing of that."""

from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpRequest
from django.test import RequestFactory

from wechat_notify.admin import registration
from wechat_notify.admin.pages.draft_list import DraftAdmin
from wechat_notify.models import Draft

PATH = "wechat_notify.admin.pages.draft_list.DraftAdmin"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> admin.AdminSite:
    """Django's site, with nothing but drafts, of which nothing was asked yet."""
    site = admin.AdminSite()
    monkeypatch.setattr(registration.admin, "site", site)
    registration.register(Draft, PATH)
    return site


def test_it_is_imported_when_something_is_asked_of_it(site: admin.AdminSite) -> None:
    """From then on it is an object of the class, as if the class had been registered."""
    own = site._registry[Draft]
    assert type(own) is not DraftAdmin
    assert own.model is Draft
    assert type(own) is DraftAdmin
    assert own.admin_site is site
    assert site.get_model_admin(Draft) is own


def test_it_is_of_its_class_for_whoever_asks(site: admin.AdminSite) -> None:
    """isinstance() finds it out."""
    assert isinstance(site._registry[Draft], DraftAdmin)


def test_a_site_that_takes_all_from_another(site: admin.AdminSite) -> None:
    """It registers the types of what it finds, and is served by admins of its own."""
    office = admin.AdminSite("office")
    for model, model_admin in site._registry.items():
        office.register(model, type(model_admin))
    own = office.get_model_admin(Draft)
    assert own.admin_site is office
    assert type(own) is DraftAdmin


def test_a_class_derived_from_what_is_registered(site: admin.AdminSite) -> None:
    """Its own attributes and methods stand, and super() leads to the class."""
    kind: Any = type(site._registry[Draft])

    class Own(kind):  # type: ignore[misc]
        list_per_page = 7

        def get_list_display(self, request: HttpRequest) -> Any:
            return [*super().get_list_display(request), "pk"]

    site.unregister(Draft)
    site.register(Draft, Own)
    own = site.get_model_admin(Draft)
    request = RequestFactory().get("/")
    assert issubclass(Own, DraftAdmin)
    assert own.list_per_page == 7
    assert own.get_list_display(request) == [*DraftAdmin.list_display, "pk"]


def test_a_site_that_registers_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given the class, of which it may make another."""

    class Site(admin.AdminSite):
        def register(self, model: Any, admin_class: Any = None, **options: Any) -> None:
            shorter = type("Shorter", (admin_class,), {"search_fields": admin_class.search_fields})
            super().register(model, shorter, **options)

    site = Site()
    monkeypatch.setattr(registration.admin, "site", site)
    registration.register(Draft, PATH)
    assert isinstance(site.get_model_admin(Draft), DraftAdmin)
    assert site.get_model_admin(Draft).search_fields == DraftAdmin.search_fields


def test_a_wrong_name_is_told_by_the_checks(site: admin.AdminSite) -> None:
    """Not before, and with the path that leads nowhere."""
    site.unregister(Draft)
    registration.register(Draft, f"{PATH}s")
    with pytest.raises(ImportError, match="DraftAdmins"):
        site.check(None)
