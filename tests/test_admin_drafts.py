"""Drafts: what was filled in is kept until it is sent or deleted."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from tests.admin_pages import browser, page, text, told
from tests.compose_pages import (
    CONTENT,
    VALUES,
    address,
    composer,
    filled,
    hidden_inputs,
    person,
    review,
)
from tests.factories import make_template, openid
from wechat_notify.models import Draft, MessageTemplate, Notification, RecipientFilter
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


@pytest.fixture
def template(db: None) -> MessageTemplate:
    return make_template(content=CONTENT)


@pytest.fixture
def clerk() -> Client:
    return composer()


def save(client: Client, form: dict[str, Any]) -> Draft:
    """Press the button; the draft that it made or changed."""
    answer = client.post(address(), {**form, "_save_draft": "1"})
    assert answer.status_code == 302
    return Draft.objects.latest("updated_at")


def opened(client: Client, draft: Draft) -> Any:
    return client.get(address(), {"draft": draft.pk})


def test_everything_comes_back(clerk: Client, template: MessageTemplate) -> None:
    """Saved in one session, valid or not, and opened in another."""
    user = person("parent", 1)
    more = {
        "url": "nonsense:",
        "pasted": "谁都不是",
        "table": "用户名\t商品\nparent\t手套",
        "title": "春",
    }
    draft = save(clerk, filled(template, user, **more, when="later", send_at=""))
    assert (draft.title, draft.created_by.username) == ("春", "clerk")  # type: ignore[union-attr]
    again = Client()
    again.force_login(draft.created_by)  # type: ignore[arg-type]
    form = opened(again, draft).context["form"]
    for name, value in {**VALUES, **more, "when": "later"}.items():
        assert form[name].value() == value
    assert form.chosen_users() == [user]


def test_it_has_a_name_without_a_title(clerk: Client, template: MessageTemplate) -> None:
    """What the message would be called; else its template."""
    assert save(clerk, filled(template)).title == "围巾 · 39.80元"
    assert str(save(clerk, {"template": template.pk})) == template.title


def test_saving_again_changes_it(clerk: Client, template: MessageTemplate) -> None:
    """From the form, and from the review."""
    draft = save(clerk, filled(template, person("parent", 1)))
    form = filled(template, person("second", 2), draft=draft.pk)
    save(clerk, {**form, "value_thing1": "手套"})
    hidden = hidden_inputs(review(clerk, form))
    save(clerk, {**hidden, "value_thing1": "帽子"})
    only = Draft.objects.get()
    assert only.inputs["value_thing1"] == ["帽子"]


def test_it_stands_where_composing_begins(clerk: Client, template: MessageTemplate) -> None:
    """With the links that open and delete it; not while a template is exchanged."""
    draft = save(clerk, filled(template))
    shown = text(clerk.get(address()))
    assert f"?draft={draft.pk}" in shown
    assert page("draft", "delete", draft.pk) in shown
    exchanging = clerk.post(address(), {**filled(template), "_templates": "1"})
    assert f"?draft={draft.pk}" not in text(exchanging)


def test_what_was_sent_is_gone(clerk: Client, template: MessageTemplate) -> None:
    """And only that."""
    other = save(clerk, {"template": template.pk})
    draft = save(clerk, filled(template, person("parent", 1)))
    form = {**filled(template, person("second", 2)), "draft": draft.pk}
    clerk.post(address(), {**hidden_inputs(review(clerk, form)), "_send": "1"})
    assert Notification.objects.count() == 1
    assert Draft.objects.get() == other


def test_what_was_not_sent_stays(clerk: Client, template: MessageTemplate) -> None:
    """A test to oneself does not end it, nor a message that was refused."""
    draft = save(clerk, filled(template, person("parent", 1)))
    form = {**filled(template, person("second", 2)), "draft": draft.pk}
    hidden = hidden_inputs(review(clerk, form))
    clerk.post(address(), {**hidden, "_test": "1"})
    MessageTemplate.objects.update(is_active=False)
    clerk.post(address(), {**hidden, "_send": "1"})
    assert Draft.objects.get() == draft


def test_a_draft_of_a_replacement(template: MessageTemplate) -> None:
    """What it is instead of comes back too."""
    client = composer("view_notification", "view_sendlog")
    tomorrow = timezone.now() + timedelta(days=1)
    data = {name.removeprefix("value_"): value for name, value in VALUES.items()}
    old = notify(person("parent", 1), template, data, send_at=tomorrow)
    form = filled(template, earlier=old.pk, outcome="waiting")
    draft = save(client, form)
    shown = opened(client, draft)
    assert shown.context["form"].earlier_people.count == 1
    hidden = hidden_inputs(review(client, {**form, "draft": draft.pk}))
    client.post(address(), {**hidden, "_send": "1"})
    assert Notification.objects.latest("pk").replaces == old
    assert not Draft.objects.exists()


# -- what is gone -------------------------------------------------------------------------------


def test_a_template_that_is_gone(clerk: Client, template: MessageTemplate) -> None:
    """Deleted or switched off: the first page says so, and what was filled in goes on."""
    draft = save(clerk, filled(template, person("parent", 1)))
    other = make_template("other", content=CONTENT)
    template.delete()
    first = opened(clerk, draft)
    assert "template cannot be used" in told(first)
    hidden: dict[str, Any] = {}
    for name, value in first.context["hidden"]:
        hidden.setdefault(name, []).append(value)
    form = clerk.post(address(), {**hidden, "template": other.pk}).context["form"]
    assert form["value_thing1"].value() == "围巾"
    assert [user.username for user in form.chosen_users()] == ["parent"]


def test_people_and_lists_that_are_gone(clerk: Client, template: MessageTemplate) -> None:
    """Each kind is told once, and the draft still has what it had."""
    clerk = composer("view_recipientfilter")
    user, gone = person("parent", 1, group="家委会"), person("gone", 2)
    saved = RecipientFilter.objects.create(account="default", name="x", criteria={})
    group = Group.objects.get()
    chosen = {"groups": [group.pk], "filters": [saved.pk], "value_thing9": "备注"}
    draft = save(clerk, filled(template, user, gone, **chosen, earlier="999"))
    before = draft.inputs
    for row in (gone, group, saved):
        row.delete()
    shown = told(opened(clerk, draft))
    for expected in ("1 person of this", "Groups", "Saved recipients", "earlier notif", "备注"):
        assert expected in shown
    assert Draft.objects.get().inputs == before


def test_nothing_is_told_of_a_whole_draft(clerk: Client, template: MessageTemplate) -> None:
    """Opening it is quiet."""
    user = person("parent", 1, group="家委会")
    draft = save(clerk, filled(template, user, groups=[Group.objects.get().pk]))
    clerk.get(address())  # takes the messages of saving
    assert told(opened(clerk, draft)) == ""


# -- whose they are -----------------------------------------------------------------------------


def test_others_do_not_see_it(clerk: Client, template: MessageTemplate) -> None:
    """Neither on the first page, nor in the list, nor by its number; nor can they delete it."""
    draft = save(clerk, filled(template))
    other = composer(name="other")
    assert f"?draft={draft.pk}" not in text(other.get(address()))
    assert other.get(page("draft")).context["cl"].result_count == 0
    assert "围巾" not in text(opened(other, draft))
    other.post(page("draft", "delete", draft.pk), {"post": "yes"})
    assert Draft.objects.exists()


def test_who_may_see_drafts_sees_those_of_others(clerk: Client, template: MessageTemplate) -> None:
    """And goes on with a copy: the other's draft is neither changed nor sent away."""
    draft = save(clerk, filled(template, person("parent", 1)))
    other = composer("view_draft", name="other")
    assert other.get(page("draft")).context["cl"].result_count == 1
    assert opened(other, draft).context["form"]["value_thing1"].value() == "围巾"
    save(other, {**filled(template), "draft": draft.pk, "value_thing1": "手套"})
    assert Draft.objects.count() == 2
    form = {**filled(template, person("second", 2)), "draft": draft.pk}
    other.post(address(), {**hidden_inputs(review(other, form)), "_send": "1"})
    draft.refresh_from_db()
    assert draft.inputs["value_thing1"] == ["围巾"]
    other.post(page("draft", "delete", draft.pk), {"post": "yes"})
    assert Draft.objects.count() == 2
    composer("view_draft", "delete_draft", name="other").post(
        page("draft", "delete", draft.pk), {"post": "yes"}
    )
    assert Draft.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("pasted", f"parent、{openid(77)}"),
        ("pasted", f"王小明：{openid(77)}"),
        ("table", f'openid\t商品\n"{openid(77)}"\t手套'),
    ],
)
def test_openids_in_a_draft_of_somebody_else(
    clerk: Client, template: MessageTemplate, name: str, kept: str
) -> None:
    """Whoever may not see openids goes on without them, and is told so; the draft keeps them."""
    draft = save(clerk, filled(template, person("parent", 1), **{name: kept}))
    before = draft.inputs
    other = composer("view_draft", name="other")
    shown = opened(other, draft)
    assert openid(77) not in text(shown)
    assert "is left out: it has openids, which you may not see." in told(shown)
    assert shown.context["form"]["value_thing1"].value() == "围巾"
    for client in (clerk, composer("view_draft", "view_openid", name="trusted")):
        assert openid(77) in text(opened(client, draft))
    MessageTemplate.objects.update(is_active=False)
    assert openid(77) not in text(opened(other, draft))
    assert Draft.objects.get().inputs == before


def test_names_in_a_draft_of_somebody_else(clerk: Client, template: MessageTemplate) -> None:
    """A pasted list and a table without openids come along."""
    more = {"pasted": "parent、王小明", "table": "用户名\t商品\nparent\t手套"}
    draft = save(clerk, filled(template, **more))
    form = opened(composer("view_draft", name="other"), draft).context["form"]
    assert {name: form[name].value() for name in more} == more


def test_the_list_opens_and_deletes(clerk: Client, template: MessageTemplate) -> None:
    """A row leads to composing; deleting asks first."""
    draft = save(clerk, filled(template))
    shown = text(clerk.get(page("draft")))
    assert page("draft", "change", draft.pk) in shown
    answer = clerk.get(page("draft", "change", draft.pk))
    assert answer.headers["Location"] == f"{address()}?draft={draft.pk}"
    asked = text(clerk.get(page("draft", "delete", draft.pk)))
    assert 'name="post" value="yes"' in asked
    assert Draft.objects.exists()
    clerk.post(page("draft", "delete", draft.pk), {"post": "yes"})
    assert not Draft.objects.exists()


def test_who_may_only_look_gets_no_form(clerk: Client, template: MessageTemplate) -> None:
    """The page of a draft has its name, template and times; composing is refused."""
    draft = save(clerk, filled(template))
    client = browser("view_draft", name="auditor")
    assert draft.title in text(client.get(page("draft", "change", draft.pk)))
    assert opened(client, draft).status_code == 403
    assert browser(name="nobody").get(page("draft")).status_code == 403


@pytest.mark.urls("tests.compose_site")
def test_a_draft_of_another_account_does_not_exist() -> None:
    """Not even one's own, once the account is not allowed any more."""
    elsewhere = make_template("elsewhere", account="other", content=CONTENT)
    client = composer("view_draft")
    user = client.get(address()).wsgi_request.user
    draft = Draft.objects.create(
        account="other", template=elsewhere, created_by=user, inputs={"title": ["秘密"]}
    )
    assert "秘密" not in text(opened(client, draft))
    assert f"draft={draft.pk}" not in text(client.get(address()))


def test_a_get_saves_nothing(clerk: Client, template: MessageTemplate) -> None:
    """Nor does a POST without the token of the form."""
    clerk.get(address(), {**filled(template), "_save_draft": "1"})
    clerk.handler.enforce_csrf_checks = True
    answer = clerk.post(address(), {**filled(template), "_save_draft": "1"})
    assert answer.status_code == 403
    assert not Draft.objects.exists()


def test_what_no_database_stores_is_left_out(clerk: Client, template: MessageTemplate) -> None:
    """NUL, which a paste may have."""
    draft = save(clerk, filled(template, pasted="a\0b", title="\0标题"))
    assert (draft.inputs["pasted"], draft.title) == (["ab"], "标题")


def test_nonsense_is_kept_and_opened(clerk: Client, template: MessageTemplate) -> None:
    """Whatever is posted: it is no form's, and breaks no page."""
    nonsense = {
        "users": ["x", "99"],
        "groups": ["x"],
        "filters": ["x"],
        "segments": ["x"],
        "bound_since": "x",
        "priority": "99",
        "earlier": "x",
        "outcome": "y",
        "list_label": "no.such",
        "value_thing1": "{{ user.password }}",
        "when": "never",
    }
    draft = save(clerk, {"template": template.pk, **nonsense, "draft": "x"})
    assert opened(clerk, draft).status_code == 200


def test_old_drafts_are_pruned(
    clerk: Client, template: MessageTemplate, capsys: pytest.CaptureFixture[str]
) -> None:
    """They name people: what nobody has saved for so long goes, and what was saved since stays."""
    old, young = save(clerk, filled(template)), save(clerk, filled(template))
    then = timezone.now() - timedelta(days=181)
    Draft.objects.filter(pk=old.pk).update(updated_at=then)
    Draft.objects.filter(pk=young.pk).update(created_at=then)
    call_command("wechat_prune", "--dry-run")
    assert "1 drafts would be deleted" in capsys.readouterr().out
    assert Draft.objects.count() == 2
    call_command("wechat_prune")
    assert Draft.objects.get() == young
