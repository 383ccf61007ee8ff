"""Templates brought in line with WeChat's list, over real HTTP."""

from typing import Any

import pytest

from tests.factories import ORDER, ORDER_CONTENT, make_template, sandbox_template
from wechat_notify.exceptions import (
    AccountNotConfigured,
    ConfigurationError,
    InvalidData,
    TemplateNotFound,
    WeChatError,
)
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import add_template, delete_template, notify, sync_templates
from wechat_notify.template_sync import SyncReport

pytestmark = pytest.mark.django_db

ID = f"{'order_paid':_<43}"
LISTED = {"template_id": ID, "title": "订单支付成功通知", "content": ORDER_CONTENT}


@pytest.fixture
def sandbox() -> Any:
    """A fake WeChat with one template."""
    with Sandbox(templates=[LISTED], any_openid=True) as running:
        yield running


@pytest.fixture
def synced(wechat: Sandbox) -> MessageTemplate:
    """The one template, registered by a sync and named."""
    sync_templates()
    MessageTemplate.objects.update(name="order_paid")
    return MessageTemplate.objects.get()


def outcome(report: SyncReport) -> dict[str, list[str]]:
    """Names by what became of them, without the empty lists."""
    lists = ("created", "updated", "deactivated", "reactivated", "unchanged")
    found = {name: [template.name for template in getattr(report, name)] for name in lists}
    return {name: names for name, names in found.items() if names}


# -- sync -------------------------------------------------------------------------------------


def test_a_new_template_is_registered(wechat: Sandbox) -> None:
    """With what WeChat says, and a free name that somebody will better."""
    report = sync_templates()
    assert outcome(report) == {"created": ["t-order_pa"]}
    assert (report.changed, report.listed) == (True, 1)
    template = MessageTemplate.objects.get()
    assert (template.template_id, template.title, template.content) == tuple(LISTED.values())
    assert template.is_active
    assert template.synced_at is not None


@pytest.mark.django_db(databases=["default", "elsewhere"], transaction=True)
def test_templates_may_live_in_another_database(
    wechat: Sandbox, settings: Any, django_assert_num_queries: Any
) -> None:
    """Theirs is the transaction, and the default database is asked for nothing."""
    settings.DATABASE_ROUTERS = ["tests.routers.LivesElsewhere"]
    with django_assert_num_queries(0):
        assert outcome(sync_templates()) == {"created": ["t-order_pa"]}
        assert outcome(sync_templates()) == {"unchanged": ["t-order_pa"]}


def test_a_replica_is_not_asked_what_there_is(wechat: Sandbox, settings: Any) -> None:
    """It may not know yet what the last sync or somebody in the admin wrote."""
    settings.DATABASE_ROUTERS = ["tests.routers.ReadsElsewhere"]
    assert outcome(sync_templates()) == {"created": ["t-order_pa"]}
    assert outcome(sync_templates()) == {"unchanged": ["t-order_pa"]}
    add_template("43216", ["姓名"], name="leave_requested")


def test_a_second_sync_changes_nothing(synced: MessageTemplate) -> None:
    """Twice is once, but for when it was last seen."""
    report = sync_templates()
    assert outcome(report) == {"unchanged": ["order_paid"]}
    assert not report.changed
    again = MessageTemplate.objects.get()
    assert again.synced_at is not None
    assert synced.synced_at is not None
    assert again.synced_at > synced.synced_at
    again.synced_at = synced.synced_at
    assert _columns(again) == _columns(synced)


def _columns(template: MessageTemplate) -> dict[str, Any]:
    return {
        field.attname: getattr(template, field.attname)
        for field in MessageTemplate._meta.concrete_fields
    }


def test_what_the_site_decides_is_kept(synced: MessageTemplate, wechat: Sandbox) -> None:
    """Name, link, mini program and notes are not WeChat's."""
    own = {
        "name": "paid",
        "url": "/orders/",
        "miniprogram_appid": "wxa",
        "miniprogram_pagepath": "pages/orders",
        "notes": "for the shop",
    }
    MessageTemplate.objects.update(**own)
    wechat.remove_template(ID)
    wechat.add_template({**LISTED, "title": "支付成功"})
    sync_templates()
    assert MessageTemplate.objects.values(*own, "title").get() == {**own, "title": "支付成功"}


def test_a_changed_content_is_shown_and_flagged(synced: MessageTemplate, wechat: Sandbox) -> None:
    """Somebody has to look at the code that fills it in."""
    changed = ORDER_CONTENT.replace("thing2", "thing5")
    wechat.remove_template(ID)
    wechat.add_template({**LISTED, "content": changed})
    report = sync_templates()
    assert outcome(report) == {"updated": ["order_paid"]}
    assert report.diffs == {
        "order_paid": ["-商品名称：{{thing2.DATA}}", "+商品名称：{{thing5.DATA}}"]
    }
    template = MessageTemplate.objects.get()
    assert template.content == changed
    assert template.content_changed_at is not None
    sync_templates()
    assert MessageTemplate.objects.get().content_changed_at == template.content_changed_at


def test_a_first_content_is_no_change(wechat: Sandbox) -> None:
    """A template registered by hand without content gets it, and no alarm."""
    make_template(content="", title="")
    report = sync_templates()
    assert outcome(report) == {"updated": ["order_paid"]}
    assert report.diffs == {}
    template = MessageTemplate.objects.get()
    assert (template.content, template.content_changed_at) == (ORDER_CONTENT, None)


def test_a_dropped_template_becomes_inactive_and_keeps_its_log(
    synced: MessageTemplate, wechat: Sandbox
) -> None:
    """Nothing is deleted, and notify() with it is a clear error."""
    notify("oTest00001", "order_paid", ORDER)
    wechat.remove_template(ID)
    report = sync_templates()
    assert outcome(report) == {"deactivated": ["order_paid"]}
    assert SendLog.objects.count() == 1
    assert MessageTemplate.objects.get().missing_since is not None
    with pytest.raises(TemplateNotFound, match="no longer lists"):
        notify("oTest00001", "order_paid", ORDER)
    assert outcome(sync_templates()) == {"unchanged": ["order_paid"]}


def test_a_template_that_comes_back_is_active_again(
    synced: MessageTemplate, wechat: Sandbox
) -> None:
    """What a sync has switched off, a sync switches on."""
    wechat.remove_template(ID)
    sync_templates()
    wechat.add_template({**LISTED, "title": "支付成功"})
    assert outcome(sync_templates()) == {"reactivated": ["order_paid"], "updated": ["order_paid"]}
    template = MessageTemplate.objects.get()
    assert template.is_active
    assert template.missing_since is None


def test_what_somebody_switched_off_stays_off(synced: MessageTemplate, wechat: Sandbox) -> None:
    """A sync does not overrule a person."""
    MessageTemplate.objects.update(is_active=False)
    sync_templates()
    wechat.remove_template(ID)
    sync_templates()
    wechat.add_template(LISTED)
    assert outcome(sync_templates()) == {"unchanged": ["order_paid"]}
    assert not MessageTemplate.objects.get().is_active


def test_a_template_that_wechat_never_listed_is_left_alone(wechat: Sandbox) -> None:
    """Category templates may be missing from the list; one registered by hand stays active."""
    make_template("by_hand")
    wechat.remove_template(ID)
    assert outcome(sync_templates()) == {"unchanged": ["by_hand"]}
    assert MessageTemplate.objects.get().is_active


def test_names_are_free_whatever_the_ids(wechat: Sandbox) -> None:
    """Ids that begin alike, whatever the case of their letters, get names of their own."""
    make_template("T-ORDER_PA", template_id="by hand")
    wechat.add_template({**LISTED, "template_id": "order_paid2" + "_" * 32})
    names = {template.name for template in sync_templates().created}
    assert names == {"t-order_pai", "t-order_paid"}


def test_accounts_do_not_touch_each_other(wechat: Sandbox) -> None:
    """A template of another account is neither missing nor taken."""
    make_template("order_paid", account="other")
    sync_templates()
    assert MessageTemplate.objects.filter(account="other", is_active=True).count() == 1
    assert MessageTemplate.objects.filter(account="default").count() == 1


def test_a_dry_run_writes_nothing(synced: MessageTemplate, wechat: Sandbox) -> None:
    """It reports what a sync would do."""
    before = list(MessageTemplate.objects.values())
    wechat.remove_template(ID)
    wechat.add_template({**LISTED, "template_id": "new"})
    report = sync_templates(dry_run=True)
    assert outcome(report) == {"created": ["t-new"], "deactivated": ["order_paid"]}
    assert list(MessageTemplate.objects.values()) == before


def test_a_sync_that_fails_changes_nothing(synced: MessageTemplate, wechat: Sandbox) -> None:
    """WeChat's refusal is raised, and no template is taken for missing."""
    wechat.fail(48001, path="/cgi-bin/template/get_all_private_template")
    with pytest.raises(WeChatError, match="48001"):
        sync_templates()
    assert MessageTemplate.objects.get().is_active


def test_accounts_that_cannot_be_synced(db: None) -> None:
    """An unknown alias, or a backend that lists no templates, is a matter of the settings."""
    with pytest.raises(AccountNotConfigured, match="nowhere"):
        sync_templates("nowhere")
    with pytest.raises(ConfigurationError, match='"other" cannot list templates'):
        sync_templates("other")


# -- add and delete ---------------------------------------------------------------------------


def test_a_template_of_the_library_is_added_and_registered(wechat: Sandbox) -> None:
    """It has its name at once, and title and content after the next sync."""
    template = add_template("43216", ["姓名", "事由"], name="leave_requested")
    assert template.name == "leave_requested"
    assert not template.content
    sync_templates()
    template.refresh_from_db()
    assert [field.label for field in template.fields] == ["姓名", "事由"]
    assert template.content_changed_at is None
    notify("oTest00001", "leave_requested", {"thing1": "李小明", "thing2": "回老家"})


def test_an_added_template_gets_a_free_name(wechat: Sandbox) -> None:
    """Whoever gives no name can do so in the admin later."""
    template = add_template("43216", ["姓名"])
    assert template.name == f"t-{template.template_id[:8]}"


@pytest.mark.parametrize("name", ["order_paid", "支付", "a b", "x" * 101])
def test_a_bad_name_is_refused_before_wechat_is_asked(
    synced: MessageTemplate, wechat: Sandbox, name: str
) -> None:
    """A name that is taken or no slug does not cost one of the 25 templates."""
    with pytest.raises(InvalidData, match="name"):
        add_template("43216", ["姓名"], name=name)
    assert len(wechat.state.templates()) == 1


@pytest.mark.parametrize(
    ("short_id", "keywords", "errcode"), [("TM00015", [], 40247), ("43216", [], 40246)]
)
def test_what_wechat_does_not_add_is_not_registered(
    wechat: Sandbox, short_id: str, keywords: list[str], errcode: int
) -> None:
    """Old library ids and missing keywords are WeChat's to refuse."""
    with pytest.raises(WeChatError, match=str(errcode)):
        add_template(short_id, keywords)
    assert not MessageTemplate.objects.exists()


def test_the_twenty_sixth_template_is_refused(wechat: Sandbox) -> None:
    """An account has 25; the error says to delete one."""
    for number in range(24):
        wechat.add_template({**LISTED, "template_id": f"T{number}"})
    with pytest.raises(WeChatError, match=r"Delete a template.*45026"):
        add_template("43216", ["姓名"])


def test_deleting_on_wechat_keeps_the_row(synced: MessageTemplate, wechat: Sandbox) -> None:
    """The template is gone there and inactive here, and so it stays."""
    delete_template(synced)
    assert wechat.state.templates() == []
    synced.refresh_from_db()
    assert not synced.is_active
    assert synced.missing_since is not None
    assert outcome(sync_templates()) == {"unchanged": ["order_paid"]}


def test_deleting_what_is_gone_is_no_error(synced: MessageTemplate, wechat: Sandbox) -> None:
    """Somebody has deleted it in the console already."""
    wechat.remove_template(ID)
    delete_template(synced)
    assert not MessageTemplate.objects.get().is_active


def test_a_deletion_that_fails_changes_nothing(synced: MessageTemplate, wechat: Sandbox) -> None:
    """As long as WeChat has the template it is active here."""
    wechat.fail(48001, path="/cgi-bin/template/del_private_template")
    with pytest.raises(WeChatError, match="48001"):
        delete_template(synced)
    assert MessageTemplate.objects.get().is_active


def test_the_factories_agree_with_the_list(wechat: Sandbox) -> None:
    """The suite's own template is the same on both sides."""
    template = make_template()
    assert sandbox_template(template) == LISTED
    assert outcome(sync_templates()) == {"unchanged": ["order_paid"]}
