"""manage.py wechat_import_bindings: what others collected, checked with WeChat, moved by nobody."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import post_save

from tests.factories import make_binding, make_user, openid
from wechat_notify.backends.wechat import WeChatBackend
from wechat_notify.binding.importing import import_bindings
from wechat_notify.binding.sources import SOURCES, Found
from wechat_notify.exceptions import ConfigurationError
from wechat_notify.management.commands import wechat_import_bindings
from wechat_notify.models import BindingChange, OpenIDBinding
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import bind, unbind
from wechat_notify.types import Follower

pytestmark = pytest.mark.django_db(transaction=True)

LABELS = ("socialaccount", "social_django", "wechat_django")
BATCHGET = "/cgi-bin/user/info/batchget"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("wechat_import_bindings", *arguments, stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def others(settings: Any, transactional_db: None) -> Iterator[None]:
    """The packages' tables exist."""
    settings.INSTALLED_APPS = [
        *settings.INSTALLED_APPS,
        *(f"tests.lookalikes.{label}" for label in LABELS),
    ]
    tables = [model for label in LABELS for model in apps.get_app_config(label).get_models()]
    with connection.schema_editor() as editor:
        for model in tables:
            editor.create_model(model)
    yield
    with connection.schema_editor() as editor:
        for model in reversed(tables):
            editor.delete_model(model)


def table(label: str, name: str) -> Any:
    return apps.get_model(label, name)


def bound() -> dict[str, str]:
    """{openid: username}"""
    return dict(OpenIDBinding.objects.values_list("openid", "user__username"))


def allauth(user: Any, uid: str, provider: str = "weixin", **extra: Any) -> None:
    table("socialaccount", "SocialAccount").objects.create(
        user=user, provider=provider, uid=uid, extra_data=extra
    )


@pytest.mark.usefixtures("others")
def test_allauth() -> None:
    """uid is the openid; where a site made it the unionid, extra_data has the openid."""
    alice, bob = make_user("alice"), make_user("bob")
    allauth(alice, openid(1), openid=openid(1), unionid="u1")
    allauth(bob, "u2", openid=openid(2), unionid="u2")
    allauth(bob, "12345", provider="github")
    assert "allauth: 2 bound" in run("allauth", "--unchecked")
    assert bound() == {openid(1): "alice", openid(2): "bob"}
    binding = OpenIDBinding.objects.get(openid=openid(1))
    assert (binding.unionid, binding.source, binding.account) == ("u1", "import", "default")
    assert BindingChange.objects.filter(change="bound", source="import").count() == 2


@pytest.mark.usefixtures("others")
def test_social_auth() -> None:
    """Both of its backends; extra_data that is a text is left alone."""
    alice, bob = make_user("alice"), make_user("bob")
    rows = table("social_django", "UserSocialAuth").objects
    rows.create(user=alice, provider="weixin", uid=openid(1), extra_data={"username": "爱丽丝"})
    rows.create(user=bob, provider="weixinapp", uid=openid(2), extra_data="{}")
    rows.create(user=bob, provider="github", uid="12345")
    assert "social-auth: 2 bound" in run("social-auth", "--unchecked")
    assert bound() == {openid(1): "alice", openid(2): "bob"}


def wechat_django(user: Any, who: str, appid: str = "wx0123456789abcdef") -> Any:
    app, _ = table("wechat_django", "WeChatApp").objects.get_or_create(appid=appid)
    person = table("wechat_django", "WeChatUser").objects.create(app=app, openid=who)
    return table("wechat_django", "Membership").objects.create(user=user, wechat_user=person)


@pytest.mark.usefixtures("others")
def test_wechat_django() -> None:
    """Through the site's own model, and only openids of the account's app id."""
    wechat_django(make_user("alice"), openid(1))
    wechat_django(make_user("bob"), openid(2), appid="wxanother")
    wechat_django(None, openid(3))
    arguments = ("wechat-django", "--unchecked", "--link", "wechat_django.Membership")
    assert "wechat-django: 1 bound" in run(*arguments)
    assert bound() == {openid(1): "alice"}


@pytest.mark.usefixtures("others")
def test_wechat_django_needs_to_know_the_link() -> None:
    """Where several models know both, nothing is guessed; the models are named."""
    with pytest.raises(CommandError, match=r"--link.*Membership, wechat_django\.Visit"):
        run("wechat-django", "--unchecked")
    with pytest.raises(CommandError, match="found: none"):
        run("wechat-django", "--unchecked", "--link", "school.Leave")


@pytest.mark.usefixtures("others")
def test_a_user_model_that_is_the_link(settings: Any) -> None:
    """Then the user is the row itself."""
    row = wechat_django(make_user("alice"), openid(1))
    settings.AUTH_USER_MODEL = "wechat_django.Membership"
    found = list(SOURCES["wechat-django"].rows("default"))
    assert found == [Found(row.pk, openid(1))]


@pytest.mark.usefixtures("others")
def test_all_installed_sources_are_read() -> None:
    """Where none is named; and what one has bound the next finds bound."""
    alice = make_user("alice")
    allauth(alice, openid(1))
    table("social_django", "UserSocialAuth").objects.create(
        user=alice, provider="weixin", uid=openid(1)
    )
    told = run("--unchecked", "--link", "wechat_django.Membership")
    assert "allauth: 1 bound, 0 bound before" in told
    assert "social-auth: 0 bound, 1 bound before" in told
    assert "wechat-django: 0 bound" in told


@pytest.mark.usefixtures("others")
def test_a_second_run_changes_nothing() -> None:
    """Everything is there already."""
    allauth(make_user("alice"), openid(1))
    run("allauth", "--unchecked")
    assert "0 bound, 1 bound before" in run("allauth", "--unchecked")
    assert BindingChange.objects.count() == 1


@pytest.mark.usefixtures("others")
def test_conflicts_are_reported_and_nothing_moves(configure: Callable[..., None]) -> None:
    """Not even under the policy that moves what the person shows: a table may be mistaken."""
    configure(BINDING_CONFLICT="move")
    alice, bob, carol = make_user("alice"), make_user("bob"), make_user("carol")
    make_binding(alice, 1)
    allauth(bob, openid(1))
    allauth(carol, "u1", openid=openid(2))
    allauth(bob, "u2", openid=openid(2))
    told = run("allauth", "--unchecked")
    assert "1 bound, 0 bound before, 2 of somebody else" in told
    assert f"belongs to alice (id {alice.pk}), not to bob (id {bob.pk}): left as it is" in told
    assert openid(1) not in told
    assert bound() == {openid(1): "alice", openid(2): "carol"}


@pytest.mark.usefixtures("others")
def test_many_conflicts_are_not_all_printed() -> None:
    """The screen has an end; the count tells the rest."""
    make_binding(make_user("alice"), 1)
    bob = make_user("bob")
    for number in range(53):
        allauth(bob, f"u{number}", openid=openid(1))
    told = run("allauth", "--unchecked")
    assert told.count("belongs to ") == 50
    assert "and 3 more" in told


@pytest.mark.usefixtures("others")
def test_dry_run_writes_nothing() -> None:
    """It says what would be bound."""
    allauth(make_user("alice"), openid(1))
    told = run("allauth", "--unchecked", "--dry-run")
    assert "1 bound" in told
    assert "Nothing was written." in told
    assert bound() == {}


@pytest.mark.usefixtures("others")
def test_what_cannot_be_an_openid_is_left_out() -> None:
    """Counted, and nothing else."""
    allauth(make_user("alice"), "not an openid!")
    assert "1 unusable" in run("allauth", "--unchecked")


@pytest.mark.usefixtures("others")
def test_wechat_is_asked_who_they_are(wechat: Sandbox) -> None:
    """Openids of another app id are left out; people who do not follow are bound as such."""
    wechat.account.any_openid = False
    user = make_user("alice")
    wechat.follow(openid(1), unionid="u1")
    wechat.follow(openid(2))
    wechat.unfollow(openid(2))
    for number in (1, 2, 3):
        allauth(user, openid(number))
    assert "2 bound, 0 bound before, 0 of somebody else, 1 that WeChat" in run("allauth")
    found = OpenIDBinding.objects.order_by("openid").values_list("subscribed", "unionid")
    assert list(found) == [(True, "u1"), (False, "")]


def test_a_table_of_another_app_id_is_found_out_early(wechat: Sandbox) -> None:
    """After the first hundred it is said what is wrong, and nothing more is asked."""
    wechat.account.any_openid = False
    user = make_user("alice")
    # Every tenth row is of no use, so that no batch is asked about as a whole.
    rows = (Found(user.pk, openid(n) if n % 10 else "not an openid") for n in range(1_000))
    with pytest.raises(ConfigurationError, match="another app id"):
        import_bindings(rows, "default")
    assert wechat.calls[BATCHGET] < 450
    assert bound() == {}


@pytest.mark.usefixtures("others")
def test_what_cannot_be_a_unionid_keeps_nobody_from_being_bound() -> None:
    """Some other package's column may hold anything."""
    allauth(make_user("alice"), openid(1), unionid="u" * 65)
    run("allauth", "--unchecked")
    assert OpenIDBinding.objects.get().unionid == ""


def test_wrong_names_and_backends(configure: Callable[..., None], settings: Any) -> None:
    """Each is said in one sentence."""
    with pytest.raises(CommandError, match="No account 'nobody'"):
        run("--account", "nobody")
    with pytest.raises(CommandError, match="No source 'elsewhere'"):
        run("elsewhere", "--unchecked")
    with pytest.raises(CommandError, match="not in INSTALLED_APPS"):
        run("allauth", "--unchecked")
    with pytest.raises(CommandError, match="None of allauth"):
        run("--unchecked")
    with pytest.raises(CommandError, match="--unchecked"):
        run("allauth")


def test_users_that_are_gone_are_left_out() -> None:
    """A table without a foreign key may name them."""
    report = import_bindings([Found(10**6, openid(1))], "default", check=False)
    assert report.counts["unusable"] == report.handled == 1


def test_the_help_names_every_source() -> None:
    """And says why WeChat is asked."""
    parser = wechat_import_bindings.Command().create_parser("manage.py", "wechat_import_bindings")
    told = parser.format_help()
    for word in (*SOURCES, "app id", "--dry-run", "--unchecked"):
        assert word in told


class BindingMeanwhile(WeChatBackend):
    """While WeChat is asked about people, alice binds them."""

    def get_users(self, openids: Sequence[str]) -> list[Follower]:
        for who in openids:
            bind(get_user_model().objects.get(username="alice"), who)
        return super().get_users(openids)


def test_somebody_who_binds_meanwhile_keeps_it(
    wechat: Sandbox, configure: Callable[..., None]
) -> None:
    """Between the look and the binding there is a call to WeChat: time enough."""
    configure(default={"BACKEND": f"{__name__}.BindingMeanwhile"})
    alice, bob = make_user("alice"), make_user("bob")
    report = import_bindings([Found(bob.pk, openid(1))], "default")
    assert (report.counts["conflict"], report.counts["new"]) == (1, 0)
    assert report.conflicts[0][1:] == (alice.pk, bob.pk)
    assert bound() == {openid(1): "alice"}


def test_somebody_who_unbinds_meanwhile_gives_it_up(transactional_db: None) -> None:
    """Refused because of an owner who then unbinds: it is bound after all."""
    alice, bob = make_user("alice"), make_user("bob")

    def leave(instance: BindingChange, **kwargs: Any) -> None:
        if instance.change == BindingChange.Change.REFUSED:
            unbind(alice)

    def come(execute: Any, sql: str, *args: Any) -> Any:
        read = execute(sql, *args)
        if sql.startswith("SELECT") and OpenIDBinding._meta.db_table in sql and not came:
            came.append(make_binding(alice, 1))
        return read

    came: list[OpenIDBinding] = []
    post_save.connect(leave, BindingChange)
    try:
        with connection.execute_wrapper(come):
            report = import_bindings([Found(bob.pk, openid(1))], "default", check=False)
    finally:
        post_save.disconnect(leave, BindingChange)
    assert (report.counts["conflict"], report.counts["new"]) == (0, 1)
    assert bound() == {openid(1): "bob"}
