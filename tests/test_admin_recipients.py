"""Recipients kept under a name: saved while composing, used again, looked at, renamed, deleted."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.admin_pages import page, text, told
from tests.compose_pages import (
    CONTENT,
    VALUES,
    address,
    composer,
    errors,
    filled,
    hidden_inputs,
    names,
    person,
    review,
    send,
)
from wechat_notify.admin.compose.criteria import Criteria
from wechat_notify.admin.compose.list_selection import Selection
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, RecipientFilter

pytestmark = pytest.mark.django_db

STRANGER = "oStranger-0123456789abcdefgh"
ALL = ("view_recipientfilter", "add_recipientfilter", "change_recipientfilter")


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(content=CONTENT)


@pytest.fixture
def people() -> dict[str, Any]:
    """Two parents, a teacher, and one whom nobody may see."""
    made = [
        person("alice", 1, group="家长"),
        person("bob", 2, group="家长"),
        person("carol", 3, group="教师"),
        person("hidden1", 6, group="家长"),
    ]
    return {user.username: user for user in made}


def save(client: Client, template: MessageTemplate, name: str = "家长们", **chosen: Any) -> Any:
    """The answer to the button that saves; nothing of the message itself is filled in."""
    form = {"template": template.pk, "when": "now", "saved_as": name, **chosen}
    return client.post(address(), {**form, "_save_recipients": "1"})


def saved(**criteria: Any) -> RecipientFilter:
    account = criteria.pop("account", "default")
    chosen = Criteria(**criteria).as_json()
    return RecipientFilter.objects.create(name="家长们", account=account, criteria=chosen)


def parents() -> str:
    return str(Group.objects.get(name="家长").pk)


OPEN = '<details class="wechat-more" open><summary>Save these recipients'


# -- saving --------------------------------------------------------------------------------------


def test_recipients_are_saved_while_composing(template: MessageTemplate, people: Any) -> None:
    """The message need not be finished, what is chosen stays chosen, the log says who did it."""
    chosen = {"groups": parents(), "pasted": f"carol {STRANGER}", "value_thing1": "围巾"}
    response = save(composer(*ALL), template, **chosen)
    assert "“家长们” is saved." in told(response)
    kept = RecipientFilter.objects.get()
    assert (kept.account, kept.created_by.username) == ("default", "clerk")  # type: ignore[union-attr]
    assert Criteria.from_json(kept.criteria) == Criteria(
        groups=(parents(),), users=(str(people["carol"].pk),), openids=(STRANGER,)
    )
    shown = text(response)
    assert 'value="围巾"' in shown
    assert response.context["form"]["groups"].value() == [parents()]
    assert "errornote" not in shown
    assert OPEN not in shown
    assert 'name="saved_as" value=""' in shown
    assert LogEntry.objects.get().object_repr == "家长们"


@pytest.mark.parametrize(
    ("name", "chosen", "said"),
    [
        ("", {"everyone": "on"}, "Give these recipients a name."),
        ("x" * 101, {"everyone": "on"}, "at most 100 characters"),
        ("家长们", {}, "Choose at least one recipient."),
        ("家长们", {"pasted": "nobody"}, "1 is not known: nobody"),
    ],
)
def test_what_cannot_be_saved(
    template: MessageTemplate, people: Any, name: str, chosen: dict[str, str], said: str
) -> None:
    """The reason is told, nothing is kept, and the name can be corrected where it was typed."""
    response = save(composer(*ALL), template, name, **chosen)
    answer = told(response)
    assert "Nothing was saved." in answer
    assert said in answer
    assert not RecipientFilter.objects.exists()
    assert OPEN in text(response)
    assert f'name="saved_as" value="{name}"' in text(response)


def test_a_name_is_kept_while_something_else_is_wrong(
    template: MessageTemplate, people: Any
) -> None:
    """Or while another template is chosen, or the message looked at once more."""
    form = {**filled(template, people["bob"], value_amount2="x"), "saved_as": "家长们"}
    refused = review(composer(*ALL), form)
    assert OPEN in text(refused)
    assert 'name="saved_as" value="家长们"' in text(refused)
    looked_at = review(composer(*ALL), {**form, **VALUES})
    assert hidden_inputs(looked_at)["saved_as"] == ["家长们"]


def test_a_name_is_never_taken_over(template: MessageTemplate, people: Any) -> None:
    """Whoever chose the same name first keeps it on this account; another account has its own."""
    saved(everyone=True, account="other")
    client = composer(*ALL)
    assert "is saved" in told(save(client, template, everyone="on"))
    taken = save(client, template, groups=parents())
    assert "There is a “家长们” already." in told(taken)
    assert 'name="saved_as" value="家长们"' in text(taken)
    assert RecipientFilter.objects.get(account="default").criteria == {"everyone": True}


def test_what_was_saved_is_not_saved_within_another(template: MessageTemplate, people: Any) -> None:
    """It would change with the other, or be gone with it."""
    kept = saved(everyone=True)
    answer = told(save(composer(*ALL), template, "mehr", filters=kept.pk, users=people["bob"].pk))
    assert "Untick the saved recipients" in answer
    assert RecipientFilter.objects.count() == 1


@pytest.mark.parametrize("codenames", [(), ("view_recipientfilter",), ("add_recipientfilter",)])
def test_saving_needs_both_permissions(
    template: MessageTemplate, people: Any, codenames: tuple[str, ...]
) -> None:
    """To add and to see: whoever saves must find it again. A forged POST saves nothing."""
    client = composer(*codenames)
    assert "_save_recipients" not in text(client.get(address(), {"template": template.pk}))
    save(client, template, everyone="on")
    assert not RecipientFilter.objects.exists()


# -- using ---------------------------------------------------------------------------------------


def sent_to(template: MessageTemplate, *kept: RecipientFilter, **chosen: Any) -> list[str]:
    response = send(composer(*ALL), filled(template, filters=[row.pk for row in kept], **chosen))
    assert response.status_code == 302, errors(response)
    return names()


def test_saved_recipients_are_offered_with_what_they_are(
    template: MessageTemplate, people: Any
) -> None:
    """By name, with what was chosen beside it; those of another account are not there."""
    rows = Selection("auth.user", "is_staff__exact=0")
    kept = saved(everyone=True, groups=("1", "2"), users=("1",), openids=("o",), selection=rows)
    saved(everyone=True, account="other")
    shown = text(composer(*ALL).get(address(), {"template": template.pk}))
    summary = "Everyone who has bound WeChat · 2 groups · 1 person · 1 openid"
    assert f"家长们 <small>{summary} · All of a list: users</small>" in shown
    assert shown.count("家长们") == 1
    assert f'name="filters" value="{kept.pk}"' in shown


def test_what_was_chosen_counts_and_not_whom_it_meant(
    template: MessageTemplate, people: Any
) -> None:
    """Who joins a group later is among the recipients, who has left it is not."""
    kept = saved(groups=(parents(),))
    people["alice"].groups.clear()
    person("late", 9, group="家长")
    assert sent_to(template, kept) == ["bob", "late"]


def test_saved_recipients_add_up_with_the_others(template: MessageTemplate, people: Any) -> None:
    """Whoever is meant in several ways gets one message; openids are no exception."""
    first = saved(groups=(parents(),), openids=(STRANGER,))
    second = RecipientFilter.objects.create(
        account="default",
        name="again",
        criteria=Criteria(users=(str(people["alice"].pk),), openids=(STRANGER,)).as_json(),
    )
    found = sent_to(template, first, second, users=[people["bob"].pk, people["carol"].pk])
    assert found == ["alice", "bob", "carol", STRANGER]


def test_rows_of_a_list_are_read_anew(template: MessageTemplate, people: Any) -> None:
    """Those that the list's filter leaves on the day of sending, and those that were ticked."""
    every = saved(selection=Selection("auth.user", "q=a"))
    person("anna", 8)
    assert sent_to(template, every) == ["alice", "anna", "carol"]


def test_they_open_no_door(template: MessageTemplate, people: Any) -> None:
    """Whoever uses them reaches only whom they may see: people, and openids bound to people."""
    hidden = people["hidden1"]
    kept = saved(
        users=(str(hidden.pk), str(people["alice"].pk)),
        openids=(factories.openid(6), factories.openid(2)),
    )
    assert sent_to(template, kept) == ["alice", "bob"]


def test_a_list_that_its_user_may_not_see(template: MessageTemplate, people: Any) -> None:
    """It is said, at the place where it was ticked, and nothing is sent."""
    kept = saved(selection=Selection("school.leave"))
    response = review(composer(*ALL), filled(template, filters=kept.pk))
    assert errors(response) == {"filters": "The list that people were chosen on cannot be read."}
    assert "The list that people were chosen on" in text(response)


def test_they_need_their_permission_and_their_account(
    template: MessageTemplate, people: Any
) -> None:
    """Neither without seeing them, nor of another account, nor once they are gone."""
    kept = saved(everyone=True)
    without = review(composer(), filled(template, filters=kept.pk))
    assert "Select a valid choice" in errors(without)["filters"]
    client = composer(*ALL, name="other")
    elsewhere = RecipientFilter.objects.create(
        account="other", name="x", criteria={"everyone": True}
    )
    for pk in (elsewhere.pk, 999):
        assert "filters" in errors(review(client, filled(template, filters=pk)))
    assert not Notification.objects.exists()


def test_nobody_is_left(template: MessageTemplate, people: Any) -> None:
    """Saved recipients may come to mean nobody: the review says so instead of an error."""
    kept = saved(groups=(parents(),))
    OpenIDBinding.objects.all().delete()
    shown = text(review(composer(*ALL), filled(template, filters=kept.pk)))
    assert "Nobody would get this message." in shown


# -- the list of them ----------------------------------------------------------------------------


def browser(*codenames: str) -> Client:
    """Somebody who may see users too."""
    return composer(*codenames, name="keeper")


def test_the_page_says_whom_they_mean_now(template: MessageTemplate, people: Any) -> None:
    """By name, with why nothing reaches somebody; the openid is masked; the button leads on."""
    kept = saved(groups=(parents(),), openids=(STRANGER,))
    person("late", group="家长")
    client = browser(*ALL)
    shown = text(client.get(page("recipientfilter", "change", kept.pk)))
    assert "3 messages would be sent." in shown
    for said in ("alice", "late", "has not bound WeChat"):
        assert said in shown
    assert "hidden1" not in shown
    assert STRANGER not in shown
    assert STRANGER in text(
        browser(*ALL, "view_openid").get(page("recipientfilter", "change", kept.pk))
    )
    link = f"{address()}?filters={kept.pk}"
    assert link in shown
    factories.make_template("elsewhere", account="other", title="缴费提醒")
    chosen = client.get(link)
    assert [tile.template for tile in chosen.context["tiles"]] == [template]
    assert ("filters", str(kept.pk)) in chosen.context["hidden"]
    assert "1 group · 1 openid" in text(client.get(page("recipientfilter")))


@pytest.mark.parametrize("nonsense", ["x", "9" * 40, "9" * 5000, "-1", "१"])
def test_a_link_with_nonsense_leads_to_all_templates(
    template: MessageTemplate, nonsense: str
) -> None:
    """What is no number of a row is left aside."""
    chosen = composer(*ALL).get(address(), {"filters": nonsense})
    assert [tile.template for tile in chosen.context["tiles"]] == [template]


def test_the_page_says_what_cannot_be_read(template: MessageTemplate, people: Any) -> None:
    """A list that this member of staff may not see is no secret and no crash."""
    kept = saved(selection=Selection("no.such", ids=("1", "2")))
    shown = text(browser(*ALL).get(page("recipientfilter", "change", kept.pk)))
    assert "The list that people were chosen on cannot be read." in shown
    assert "Chosen on a list: ? (2)" in shown


def test_who_may_not_see_users_sees_none_here(people: Any) -> None:
    """The page of saved recipients is no way around it."""
    kept = saved(groups=(parents(),))
    client = browser(*ALL)
    keeper = get_user_model().objects.get(username="keeper")
    keeper.user_permissions.remove(Permission.objects.get(codename="view_user"))
    shown = text(client.get(page("recipientfilter", "change", kept.pk)))
    assert "0 messages would be sent." in shown
    assert "alice" not in shown
    assert address() not in shown


def test_they_are_renamed_but_never_to_a_name_in_use(people: Any) -> None:
    """What was chosen stays as it is."""
    kept = saved(everyone=True)
    RecipientFilter.objects.create(account="default", name="taken", criteria={})
    RecipientFilter.objects.create(account="other", name="free", criteria={})
    client = browser(*ALL)
    change = page("recipientfilter", "change", kept.pk)
    assert "saved under this name" in text(client.post(change, {"name": "taken"}))
    client.post(change, {"name": "free", "criteria": "{}", "account": "other"})
    kept.refresh_from_db()
    assert (kept.name, kept.account, kept.criteria) == ("free", "default", {"everyone": True})


def test_they_are_deleted_after_a_question(people: Any) -> None:
    """With Django's own permission and page."""
    kept = saved(everyone=True)
    delete = page("recipientfilter", "delete", kept.pk)
    assert browser(*ALL).post(delete, {"post": "yes"}).status_code == 403
    client = browser(*ALL, "delete_recipientfilter")
    client.get(delete)
    assert RecipientFilter.objects.exists()
    client.post(delete, {"post": "yes"})
    assert not RecipientFilter.objects.exists()


def test_they_are_not_added_by_hand(people: Any) -> None:
    """Composing is where they are put together."""
    assert browser(*ALL).get(page("recipientfilter", "add")).status_code == 403
    assert reverse("admin:wechat_notify_recipientfilter_add") not in text(
        browser(*ALL).get(page("recipientfilter"))
    )
