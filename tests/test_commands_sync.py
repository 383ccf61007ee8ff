"""manage.py wechat_sync_templates: what it prints, asks and refuses."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.factories import ORDER, ORDER_CONTENT, make_template
from wechat_notify.declarations import declare
from wechat_notify.models import MessageTemplate
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

ID = f"{'order_paid':_<43}"
LISTED = {"template_id": ID, "title": "订单支付成功通知", "content": ORDER_CONTENT}


@pytest.fixture
def sandbox() -> Any:
    """A fake WeChat with one template."""
    with Sandbox(templates=[LISTED], any_openid=True) as running:
        yield running


def run(*arguments: str) -> str:
    """What the command prints, without colours."""
    out = io.StringIO()
    call_command("wechat_sync_templates", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def test_it_says_what_is_new(wechat: Sandbox) -> None:
    """One line for each change, and a summary with the room that is left."""
    assert run("--account", "default") == (
        "+ t-order_pa  订单支付成功通知\n"
        "default: 1 new, 0 changed, 0 no longer on WeChat, 0 back again, 0 unchanged. "
        "WeChat has 1 of at most 25.\n"
    )
    assert "0 new, 0 changed" in run("--account", "default")


def test_it_shows_a_changed_content_as_a_diff(wechat: Sandbox) -> None:
    """The lines that differ, old and new, and what to do about it."""
    make_template(content="订单编号：{{character_string1.DATA}}\n商品：{{thing2.DATA}}")
    printed = run("--account", "default")
    assert "~ order_paid  订单支付成功通知" in printed
    assert "order_paid: the content has changed, check the code that sends it" in printed
    assert "    -商品：{{thing2.DATA}}\n    +商品名称：{{thing2.DATA}}\n" in printed


def test_it_says_what_is_gone_and_what_is_back(wechat: Sandbox) -> None:
    """A template that WeChat drops, and one that it lists again."""
    run("--account", "default")
    wechat.remove_template(ID)
    assert "- t-order_pa" in run("--account", "default")
    wechat.add_template(LISTED)
    assert "* t-order_pa" in run("--account", "default")


@pytest.mark.usefixtures("own_declarations")
def test_it_warns_of_what_code_needs_and_is_gone(wechat: Sandbox) -> None:
    """A template that the site's code declares: what notifies with it fails from now on."""
    run("--account", "default")
    MessageTemplate.objects.update(name="order_paid")
    declare("order_paid")
    wechat.remove_template(ID)
    assert "order_paid: the site's code notifies with it" in run("--account", "default")


def test_a_dry_run_writes_nothing_and_says_so(wechat: Sandbox) -> None:
    """The same lines, and no rows."""
    printed = run("--account", "default", "--dry-run")
    assert "+ t-order_pa" in printed
    assert printed.endswith("Nothing was written.\n")
    assert not MessageTemplate.objects.exists()


def test_one_account_that_fails_does_not_stop_the_others(wechat: Sandbox, settings: Any) -> None:
    """Every account is tried; the error names those that could not be synced."""
    accounts = settings.WECHAT_NOTIFY["ACCOUNTS"]
    settings.WECHAT_NOTIFY = {
        **settings.WECHAT_NOTIFY,
        "ACCOUNTS": {"other": accounts["other"], "default": accounts["default"]},
    }
    with pytest.raises(CommandError, match=r'other: .*"other" cannot list templates'):
        run()
    assert MessageTemplate.objects.filter(account="default").count() == 1


def test_an_unknown_account_is_an_error() -> None:
    """The alias is named, and those there are."""
    with pytest.raises(CommandError, match=r"'nowhere'.*'default'"):
        run("--account", "nowhere")


def test_wechats_refusal_is_an_error(wechat: Sandbox) -> None:
    """In plain words, with the errcode."""
    wechat.fail(48001, path="/cgi-bin/template/get_all_private_template")
    with pytest.raises(CommandError, match="errcode 48001"):
        run("--account", "default")


# -- name -------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [ID, "订单支付成功通知", "t-order_pa"])
def test_a_template_is_named_without_a_browser(wechat: Sandbox, which: str) -> None:
    """By template ID, title or present name, in the run that first registers it, and once more."""
    assert "Named order_paid: 订单支付成功通知\n" in run("--name", f"order_paid={which}")
    assert MessageTemplate.objects.get().name == "order_paid"
    assert "Named order_paid" in run("--name", f"order_paid={ID}")


def test_a_dry_run_names_nothing(wechat: Sandbox) -> None:
    """As it writes nothing else."""
    run("--account", "default")
    run("--dry-run", "--name", f"order_paid={ID}")
    assert MessageTemplate.objects.get().name == "t-order_pa"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("order_paid=支付", f"No templates .*'支付'.*{ID}"),
        ("order_paid=twice", f"2 templates .*'twice'.*{ID[:-1]}1"),
        ("order paid=订单支付成功通知", "name: "),
        ("taken=订单支付成功通知", "name: is taken"),
        ("order_paid", "order_paid=TITLE"),
    ],
)
def test_what_cannot_be_named(wechat: Sandbox, name: str, says: str) -> None:
    """The error says what there is to choose from, or what is wrong with the name."""
    for number in (1, 2):
        again = {"template_id": f"{ID[:-1]}{number}", "title": "twice", "content": ORDER_CONTENT}
        wechat.add_template(again)
    make_template("taken", template_id="other", title="another")
    with pytest.raises(CommandError, match=f"(?s){says}"):
        run("--account", "default", "--name", name)
    assert not MessageTemplate.objects.filter(name__startswith="order").exists()


# -- add --------------------------------------------------------------------------------------


def test_add_registers_and_syncs(wechat: Sandbox) -> None:
    """One command from the library's number to a template that can be sent."""
    printed = run("--add", "43216", "--keywords", "姓名", "事由", "--name", "leave_requested")
    assert "Added leave_requested: " in printed
    assert "~ leave_requested  类目模板 43216" in printed
    assert "WeChat has 2 of at most 25." in printed
    fields = MessageTemplate.objects.get(name="leave_requested").fields
    assert [field.label for field in fields] == ["姓名", "事由"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--add", "TM00015"], "errcode 40247"),
        (["--add", "43216"], "errcode 40246"),
        (["--add", "43216", "--keywords", "x", "--name", "a b"], "name: "),
        (["--add", "43216", "--account", "nowhere"], "'nowhere'"),
        (["--add", "43216", "--account", "other"], "cannot add templates"),
    ],
)
def test_what_cannot_be_added(wechat: Sandbox, arguments: list[str], says: str) -> None:
    """The reason is the error, and nothing was synced."""
    with pytest.raises(CommandError, match=says):
        run(*arguments)
    assert not MessageTemplate.objects.exists()


# -- delete -----------------------------------------------------------------------------------


@pytest.fixture
def registered(wechat: Sandbox) -> MessageTemplate:
    return make_template()


def test_delete_with_yes(registered: MessageTemplate, wechat: Sandbox) -> None:
    """Gone on WeChat, inactive here."""
    assert run("--delete", "order_paid", "--yes") == "Deleted order_paid on WeChat.\n"
    assert wechat.state.templates() == []
    registered.refresh_from_db()
    assert not registered.is_active


def test_delete_asks_for_the_name(
    registered: MessageTemplate, wechat: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what would be lost, and only the template's own name will do."""
    notify("oTest00001", registered, ORDER)
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\norder_paid\n"))
    with pytest.raises(CommandError, match=r"Nothing was deleted\."):
        run("--delete", "order_paid")
    assert len(wechat.state.templates()) == 1
    printed = run("--delete", "order_paid")
    assert "1 messages still wait" in printed
    assert "cannot be undone" in printed
    assert wechat.state.templates() == []


def test_delete_needs_somebody_to_confirm(
    registered: MessageTemplate, wechat: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script without a terminal is told about --yes."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match="--yes"):
        run("--delete", "order_paid")
    assert len(wechat.state.templates()) == 1


def test_delete_of_what_is_not_registered(wechat: Sandbox) -> None:
    """Names are those of the registered templates of the account."""
    with pytest.raises(CommandError, match="'order_paid' on account 'default'"):
        run("--delete", "order_paid", "--yes")


def test_delete_that_wechat_refuses(registered: MessageTemplate, wechat: Sandbox) -> None:
    """The template stays active."""
    wechat.fail(48001, path="/cgi-bin/template/del_private_template")
    with pytest.raises(CommandError, match="errcode 48001"):
        run("--delete", "order_paid", "--yes")
    registered.refresh_from_db()
    assert registered.is_active


@pytest.mark.parametrize(
    "arguments",
    [["--add", "1", "--delete", "x"], ["--add", "1", "--dry-run"], ["--delete", "x", "--dry-run"]],
)
def test_one_thing_at_a_time(arguments: list[str]) -> None:
    """A dry run that would delete, for instance, is refused."""
    with pytest.raises(CommandError, match="not allowed with argument"):
        run(*arguments)
