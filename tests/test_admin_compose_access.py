"""Who may compose: anonymous, staff without the permissions, staff with them, other accounts."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import reverse

from tests import factories
from tests.admin_pages import ACTION, browser, page, text
from tests.compose_pages import CONTENT, address, composer, filled, person
from tests.compose_site import UsersAdmin, site
from tests.school.models import Leave
from wechat_notify.admin.compose.choosable import People
from wechat_notify.admin.mixins import SendWeChatMessageMixin
from wechat_notify.models import MessageTemplate, Notification, RecipientFilter
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending.breaker import Breaker

pytestmark = pytest.mark.django_db

USERS = {"q": "ali"}


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(content=CONTENT)


@pytest.fixture
def alice() -> Any:
    return person("alice", 1)


Ask = Callable[[Client, dict[str, Any]], Any]

PAGES: dict[str, Ask] = {
    "choose": lambda client, form: client.get(address()),
    "fill in": lambda client, form: client.get(address(), {"template": form["template"]}),
    "again": lambda client, form: client.post(address(), form),
    "review": lambda client, form: client.post(address(), {**form, "_review": "1"}),
    "test": lambda client, form: client.post(address(), {**form, "_test": "1"}),
    "send": lambda client, form: client.post(address(), {**form, "_send": "1"}),
    "send by GET": lambda client, form: client.get(address(), {**form, "_send": "1"}),
    "save recipients": lambda client, form: client.post(
        address(), {**form, "saved_as": "x", "_save_recipients": "1"}
    ),
    "open": lambda client, form: client.get(address(), {"earlier": "1", "outcome": "all"}),
    "open a draft": lambda client, form: client.get(address(), {"draft": "1"}),
    "save a draft": lambda client, form: client.post(address(), {**form, "_save_draft": "1"}),
    "preview": lambda client, form: client.post(address("compose_preview"), form),
    "users": lambda client, form: client.get(address("compose_users"), {**form, **USERS}),
    "quota": lambda client, form: client.get(address("compose_quota"), form),
}
pages = pytest.mark.parametrize("ask", PAGES.values(), ids=PAGES)


def nothing_happened() -> bool:
    return not any(
        model._default_manager.exists() for model in (Notification, RecipientFilter, LogEntry)
    )


def form_with_nonce(template: MessageTemplate, alice: Any) -> dict[str, Any]:
    return filled(template, alice, nonce="0" * 32)


@pages
def test_strangers_are_sent_to_the_login(template: MessageTemplate, alice: Any, ask: Ask) -> None:
    """Without a login no page says or does anything."""
    response = ask(Client(), form_with_nonce(template, alice))
    assert response.status_code == 302
    assert "/login/" in response.url
    assert nothing_happened()


@pages
def test_users_who_are_not_staff(template: MessageTemplate, alice: Any, ask: Ask) -> None:
    """Permissions alone open no admin."""
    codenames = ("send_notification", "view_user")
    alice.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(alice)
    assert ask(client, form_with_nonce(template, alice)).status_code == 302
    assert nothing_happened()


@pages
def test_staff_without_a_permission(template: MessageTemplate, alice: Any, ask: Ask) -> None:
    """To send and to see users: one without the other is not enough."""
    form = form_with_nonce(template, alice)
    assert ask(browser("send_notification", "view_notification"), form).status_code == 403
    only_sees = browser("view_notification", name="other")
    other = get_user_model().objects.get(username="other")
    other.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert ask(only_sees, form).status_code == 403
    assert nothing_happened()


def test_nobody_is_shown_to_whoever_may_not_see_users(alice: Any) -> None:
    """The users themselves are kept back too, not only the pages."""
    browser("send_notification").get(address())
    request = RequestFactory().get(address())
    request.user = get_user_model().objects.get(username="clerk")
    assert not People(site, request).all().exists()
    request.user = factories.make_user("root", is_superuser=True)
    assert alice in People(site, request).all()


@pages
def test_staff_with_both(template: MessageTemplate, alice: Any, ask: Ask) -> None:
    """Everything works, and only sending sends."""
    response = ask(composer(), form_with_nonce(template, alice))
    is_send = ask is PAGES["send"] or ask is PAGES["test"]
    leads_on = ask in (PAGES["send"], PAGES["save a draft"])
    assert response.status_code == (302 if leads_on else 200)
    assert Notification.objects.exists() is is_send


@pages
def test_another_account(alice: Any, ask: Ask) -> None:
    """A template of an account that one may not use does not exist, whatever one sends."""
    other = factories.make_template(account="other", title="别人的", content=CONTENT)
    response = ask(composer(), form_with_nonce(other, alice))
    assert response.status_code in (200, 404)
    assert "别人的" not in response.content.decode()
    assert nothing_happened()


@pages
@pytest.mark.parametrize("urls", ["tests.urls", "tests.compose_site"])
def test_an_account_that_is_no_longer_configured(
    alice: Any, ask: Ask, settings: Any, urls: str
) -> None:
    """Nothing can be sent with its templates; no page breaks over it, whatever a site allows."""
    settings.ROOT_URLCONF = urls
    gone = factories.make_template(account="gone", title="没有了", content=CONTENT)
    response = ask(composer(), form_with_nonce(gone, alice))
    assert response.status_code in (200, 404)
    assert "没有了" not in response.content.decode()
    assert nothing_happened()


def test_no_way_in_from_a_template_of_such_an_account(
    template: MessageTemplate, settings: Any
) -> None:
    """Its page is shown, because of its history, without the button."""
    settings.ROOT_URLCONF = "tests.urls"
    client = composer("view_messagetemplate")
    shown = page("messagetemplate", "change", template.pk)
    assert address() in text(client.get(shown))
    MessageTemplate.objects.update(account="gone")
    assert address() not in text(client.get(shown))


def test_both_accounts_for_whoever_may_use_both(template: MessageTemplate) -> None:
    """Then each template says which one it is of."""
    factories.make_template(account="other", content=CONTENT)
    root = factories.make_user("root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(root)
    shown = text(client.get(address()))
    assert "order_paid · default" in shown
    assert "order_paid · other" in shown


@pytest.mark.parametrize("name", ["compose", "compose_preview"])
def test_every_post_needs_its_token(template: MessageTemplate, alice: Any, name: str) -> None:
    """Another site cannot make somebody's browser send."""
    client = Client(enforce_csrf_checks=True)
    client.cookies = composer().cookies
    form = {**form_with_nonce(template, alice), "_send": "1"}
    assert client.post(address(name), form).status_code == 403
    assert nothing_happened()


def test_the_preview_is_asked_for_by_post(template: MessageTemplate) -> None:
    """What is typed never stands in an address."""
    assert composer().get(address("compose_preview")).status_code == 405


@pytest.mark.parametrize("allowed", [True, False])
def test_the_action_of_a_list(template: MessageTemplate, alice: Any, allowed: bool) -> None:
    """It is there, and works, only for those who may send."""
    user = factories.make_user("clerk", is_staff=True)
    codenames = ("view_user", "send_notification") if allowed else ("view_user",)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    url = reverse("admin:auth_user_changelist")
    offered = 'value="send_wechat_message"' in text(client.get(url))
    form = {"action": "send_wechat_message", ACTION: [alice.pk], "select_across": "0"}
    carried_out = "wechat-tiles" in client.post(url, form).content.decode()
    assert offered is carried_out is allowed
    assert nothing_happened()


def test_a_list_without_actions_stays_without() -> None:
    """A site that switched actions off has them off."""

    class Quiet(SendWeChatMessageMixin, ModelAdmin):  # type: ignore[type-arg]
        actions = None

    assert Quiet(Leave, AdminSite()).actions is None


def test_a_site_without_notifications_in_its_admin(alice: Any) -> None:
    """There is no page to lead to, so there is no action."""
    site = AdminSite()
    site.register(get_user_model(), UsersAdmin)
    request = composer().get(address()).wsgi_request
    user_admin: Any = site.get_model_admin(get_user_model())
    assert not user_admin.has_send_wechat_message_permission(request)


def test_a_search_for_what_no_text_can_hold(template: MessageTemplate, alice: Any) -> None:
    """PostgreSQL takes no NUL; nothing is searched for, and no page breaks."""
    client, term = composer(), "ali\0"
    form = {**filled(template, alice), "user_search": term}
    assert "Nobody was found." not in text(client.post(address(), form)).partition("<aside")[2]
    assert template.title in text(client.get(address(), {"q": term}))
    given = {"template": template.pk, "q": term}
    assert client.get(address("compose_users"), given).json() == {"results": []}


# -- today's quota -------------------------------------------------------------------------------


def quota(client: Client, template: MessageTemplate, count: str = "5") -> str:
    answer = client.get(address("compose_quota"), {"template": template.pk, "count": count})
    return str(answer.json()["html"])


def test_todays_quota(wechat: Sandbox, template: MessageTemplate) -> None:
    """What WeChat says is left, and a warning where it is not enough."""
    wechat.daily_quota = 3
    client = composer()
    assert "0 of 3 used, 3 left" in quota(client, template)
    assert "the rest waits" in quota(client, template)
    assert "the rest waits" not in quota(client, template, "3")
    for nonsense in ("x", "9" * 5000):
        assert "the rest waits" not in quota(client, template, nonsense)


def test_a_quota_is_asked_for_once_a_minute(wechat: Sandbox, template: MessageTemplate) -> None:
    """Going to and fro between the pages does not use up WeChat's own limits."""
    client = composer()
    for _time in range(3):
        assert "left" in quota(client, template)
    assert wechat.calls["/cgi-bin/openapi/quota/get"] == 1


def test_the_dashboard_and_composing_ask_once_together(
    wechat: Sandbox, template: MessageTemplate
) -> None:
    """What one page was told, the other shows; a refusal is kept for a minute too."""
    client = composer("view_sendlog")
    assert "left" in client.get(page("sendlog", "quota")).json()["html"]
    assert "left" in quota(client, template)
    assert wechat.calls["/cgi-bin/openapi/quota/get"] == 1
    cache.clear()
    wechat.fail(48001, path="/cgi-bin/openapi/quota/get")
    assert quota(client, template).strip() == NOTHING
    assert "48001" in client.get(page("sendlog", "quota")).json()["html"]
    assert wechat.calls["/cgi-bin/openapi/quota/get"] == 2


NOTHING = '<div class="wechat-today"></div>'


def test_a_quota_that_nobody_can_tell(template: MessageTemplate, configure: Any) -> None:
    """A backend that knows none, WeChat out of reach, an account at rest: the page does without."""
    assert quota(composer(), template).strip() == NOTHING
    backend = "wechat_notify.backends.wechat.WeChatBackend"
    configure(default={"BACKEND": backend, "API_BASE": "http://127.0.0.1:9", "APP_ID": "wxdown"})
    assert quota(composer(), template).strip() == NOTHING
    Breaker("default").trip(45009, "reach max api daily quota limit")
    assert quota(composer(), template).strip() == NOTHING
