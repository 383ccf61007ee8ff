"""What a site offers of its own for composing, and conditions that leave only some people."""

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from tests.admin_pages import text
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
from tests.compose_site import SchoolRecipients
from tests.school.models import Leave
from wechat_notify.admin import Segment
from wechat_notify.admin.compose.criteria import Criteria
from wechat_notify.models import MessageTemplate, OpenIDBinding, RecipientFilter, SendLog
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

STRANGER = "oStranger-0123456789abcdefgh"
MOMENT = datetime(2026, 11, 23, tzinfo=timezone.utc)
DATA = {name.removeprefix("value_"): value for name, value in VALUES.items()}


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(content=CONTENT)


def on_leave(user: Any, reason: str = "感冒") -> Any:
    Leave.objects.create(person=user, reason=reason, start=MOMENT)
    return user


def sent_to(template: MessageTemplate, *users: Any, **chosen: Any) -> list[str]:
    """Who has a new row in the send log."""
    before = set(SendLog.objects.values_list("pk", flat=True))
    response = send(composer(), filled(template, *users, **chosen))
    assert response.status_code == 302, errors(response)
    return names(SendLog.objects.exclude(pk__in=before))


# -- segments ---------------------------------------------------------------------------------


def test_a_site_offers_its_own_segments(template: MessageTemplate) -> None:
    """By the site's own words; the people are those of now, each once, and no hidden ones."""
    alice = on_leave(on_leave(person("alice", 1)))
    person("bob", 2)
    on_leave(person("hidden1", 3))
    shown = text(composer().get(address(), {"template": template.pk}))
    assert "<legend>名单</legend>" in shown
    assert 'name="segments" value="on-leave"' in shown
    assert "请假的人" in shown
    assert sent_to(template, segments="on-leave") == [alice.username]


def test_a_segment_that_is_not_offered_to_somebody(template: MessageTemplate) -> None:
    """The site decides by request; what it does not offer is no choice."""
    person("alice", 1)
    response = review(composer(), filled(template, segments="staff"))
    assert "not one of the available choices" in errors(response)["segments"]


def test_segments_are_saved_by_name(template: MessageTemplate) -> None:
    """The next message reaches those who are in it then."""
    on_leave(person("alice", 1))
    client = composer("view_recipientfilter", "add_recipientfilter")
    form = filled(template, segments=["on-leave", "named"], in_all="on", saved_as="请假")
    client.post(address(), {**form, "_save_recipients": "1"})
    saved = RecipientFilter.objects.get()
    assert saved.criteria == {"segments": ["on-leave", "named"], "in_all": True}
    on_leave(person("bob", 2, last_name="李"))
    client.post(address(), {**hidden_inputs(review(client, filled(template, filters=saved.pk))),
                            "_send": "1"})  # fmt: skip
    assert names() == ["bob"]
    page = text(client.get(f"/admin/wechat_notify/recipientfilter/{saved.pk}/change/"))
    assert "2 segments · Only who is in all of them" in page


def test_a_saved_segment_that_is_gone(template: MessageTemplate) -> None:
    """Said beside the saved recipients; nothing is sent to fewer people than were meant."""
    saved = RecipientFilter.objects.create(
        account="default", name="old", criteria={"segments": ["gone"]}
    )
    client = composer("view_recipientfilter")
    response = review(client, filled(template, person("alice", 1), filters=saved.pk))
    assert "cannot be read" in errors(response)["filters"]
    page = text(client.get(f"/admin/wechat_notify/recipientfilter/{saved.pk}/change/"))
    assert "The list that people were chosen on cannot be read." in page


def test_a_site_without_its_own(template: MessageTemplate, settings: Any) -> None:
    """There is no empty choice."""
    settings.ROOT_URLCONF = "tests.urls"
    superuser = get_user_model().objects.create_superuser("boss")
    client = composer()
    client.force_login(superuser)
    assert 'name="segments"' not in text(client.get(address(), {"template": template.pk}))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Leave, "has rows that are no users"),
        (get_user_model(), "is the name of two segments"),
    ],
)
def test_segments_that_would_reach_other_people(
    template: MessageTemplate, monkeypatch: Any, model: Any, said: str
) -> None:
    """A key of another table's row is another person's; the site's developer is told."""
    two = [Segment("a", label, model.objects.all()) for label in ("A", "B")]
    monkeypatch.setattr(SchoolRecipients, "segments", lambda self, request: two)
    with pytest.raises(ImproperlyConfigured, match=said):
        composer().get(address(), {"template": template.pk})


def test_a_heading_that_leads_nowhere(template: MessageTemplate, monkeypatch: Any) -> None:
    """The site's developer is told which lookup is wrong."""
    monkeypatch.setattr(SchoolRecipients, "columns", {"学号": "student__nothing"})
    form = filled(template, table="学号\n1")
    with pytest.raises(ImproperlyConfigured, match="student__nothing"):
        review(composer(), form)


# -- personal fields --------------------------------------------------------------------------


def test_a_site_offers_its_own_fields(template: MessageTemplate) -> None:
    """A method of the site's, under its own label, for each person; one without a value gets the
    fallback."""
    alice, bob = on_leave(person("alice", 1), "发烧"), person("bob", 2)
    shown = text(composer().get(address(), {"template": template.pk}))
    assert "请假事由</button> <code>{{ user.reason }}</code>" in shown
    text_ = '{{ user.reason|default:"无" }}'
    sent_to(template, alice, bob, value_thing1=text_)
    assert {log.user.username: log.data["thing1"]["value"] for log in SendLog.objects.all()} == {
        "alice": "发烧",
        "bob": "无",
    }


def test_the_sites_own_fields_cost_no_query_for_each_person(template: MessageTemplate) -> None:
    """``related()`` fetches what they read for all people together."""
    client = composer()
    number = []
    for count, first in ((2, 1), (30, 100)):
        for binding in factories.make_bindings(count, first=first):
            on_leave(binding.user)
        form = filled(template, everyone="on", value_thing1="{{ user.reason }}")
        with CaptureQueriesContext(connection) as queries:
            review(client, form)
        number.append(len(queries))
    assert number[0] == number[1]


# -- groups and segments together -------------------------------------------------------------


def test_only_who_is_in_all_groups_and_segments(template: MessageTemplate) -> None:
    """In A and B, instead of in A or B; single people come beside them."""
    both = person("both", 1, group="家长")
    both.groups.add(Group.objects.create(name="家委会"))
    person("one", 2, group="家长")
    pks = list(Group.objects.values_list("pk", flat=True))
    assert sent_to(template, groups=pks) == ["both", "one"]
    assert sent_to(template, groups=pks, in_all="on") == ["both"]
    single = person("single", 3)
    assert sent_to(template, single, groups=pks, in_all="on") == ["both", "single"]
    assert sent_to(template, single, groups=pks, segments="on-leave", in_all="on") == ["single"]


# -- only some of them ------------------------------------------------------------------------


def test_only_who_has_bound_since(template: MessageTemplate) -> None:
    """By the day in the active time zone; an openid that is not bound is left out too."""
    person("early", 1)
    person("late", 2)
    midnight = datetime(2026, 11, 20, tzinfo=ZoneInfo("Asia/Shanghai"))
    for number, created in ((1, midnight - timedelta(seconds=1)), (2, midnight)):
        OpenIDBinding.objects.filter(openid=factories.openid(number)).update(created_at=created)
    chosen = {"everyone": "on", "pasted": STRANGER, "bound_since": "2026-11-20"}
    shown = text(review(composer(), filled(template, **chosen)))
    assert "Only who has bound WeChat since Nov. 20, 2026" in shown
    assert "Send 1 message now" in shown
    assert sent_to(template, **chosen) == ["late"]
    assert sent_to(template, pasted=f"{factories.openid(2)} {factories.openid(1)}",
                   bound_since="2026-11-20") == ["late"]  # fmt: skip


def test_only_who_did_not_get_the_last_message(template: MessageTemplate) -> None:
    """The last with this template counts for each person; who was never meant is not meant now."""
    people = {}
    ends = ("failed", "undelivered", "skipped", "sent", "delivered", "uncertain", "pending")
    for number, status in enumerate(ends, 1):
        people[status] = person(status, number)
    person("never", 20)
    notify(list(people.values()), template, DATA)
    for status, user in people.items():
        SendLog.objects.filter(user=user).update(status=status)
    other = factories.make_template("other", content="商品：{{thing1.DATA}}")
    notify(people["failed"], other, {"thing1": "x"})
    notify(people["delivered"], other, {"thing1": "x"})
    SendLog.objects.filter(user=people["delivered"], notification__template=other).update(
        status="failed"
    )
    chosen = {"everyone": "on", "missed": "on"}
    assert sent_to(template, **chosen) == ["failed", "skipped", "undelivered"]
    # Those have a message on the way now, so nobody is left.
    assert "Nobody would get this message." in text(review(composer(), filled(template, **chosen)))


def test_an_openid_that_did_not_get_the_last_message(template: MessageTemplate) -> None:
    """One that is bound to nobody is judged by its own messages."""
    other = "oAnother-0123456789abcdefgh"
    notify([STRANGER, other], template, DATA)
    SendLog.objects.filter(openid=STRANGER).update(status="failed")
    assert sent_to(template, pasted=f"{STRANGER} {other}", missed="on") == [STRANGER]


def test_conditions_are_for_saved_recipients_too(template: MessageTemplate) -> None:
    """What is ticked on the form narrows all that is chosen; what is saved narrows its own."""
    alice, bob = person("alice", 1, group="家长"), person("bob", 2, group="家长")
    notify([alice, bob], template, DATA)
    SendLog.objects.filter(user=alice).update(status="failed")
    group = str(alice.groups.get().pk)
    saved = RecipientFilter.objects.create(
        account="default", name="家长", criteria=Criteria(groups=(group,)).as_json()
    )
    client = composer("view_recipientfilter", "add_recipientfilter")
    shown = review(client, filled(template, filters=saved.pk, missed="on"))
    assert shown.context["review"].count == 1
    form = filled(template, groups=group, missed="on", bound_since="2020-01-01", saved_as="再次")
    client.post(address(), {**form, "_save_recipients": "1"})
    narrowed = RecipientFilter.objects.get(name="再次")
    assert narrowed.criteria == {"groups": [group], "missed": True, "bound_since": "2020-01-01"}
    shown = review(client, filled(template, filters=narrowed.pk))
    assert shown.context["review"].count == 1
    page = text(client.get(f"/admin/wechat_notify/recipientfilter/{narrowed.pk}/change/"))
    assert "Only who has bound WeChat since Jan. 1, 2020" in page


def test_conditions_alone_choose_nobody(template: MessageTemplate) -> None:
    """They leave some of those who were chosen, and nobody was."""
    person("alice", 1)
    response = review(composer(), filled(template, missed="on", bound_since="2020-01-01"))
    assert errors(response) == {"users": "Choose at least one recipient."}


@pytest.mark.parametrize("day", ["soon", "2026-13-01", "0000-00-00"])
def test_a_day_that_is_none(template: MessageTemplate, day: str) -> None:
    """It is said beside its input."""
    response = review(composer(), filled(template, person("alice", 1), bound_since=day))
    assert errors(response) == {"bound_since": "Enter a valid date."}


def test_conditions_travel_to_the_last_page_and_back(template: MessageTemplate) -> None:
    """And stand in the form as they were."""
    client, group = composer(), person("alice", 1, group="家长").groups.get().pk
    chosen = {"groups": group, "segments": "named", "in_all": "on", "missed": "on"}
    hidden = hidden_inputs(review(client, filled(template, bound_since="2026-11-20", **chosen)))
    shown = text(client.post(address(), {**hidden, "_edit": "1"}))
    for name in ("groups", "segments", "in_all", "missed"):
        assert f'name="{name}"' in shown
        assert "checked" in shown.partition(f'name="{name}"')[2].partition(">")[0] or name == (
            "segments"
        )
    assert 'value="2026-11-20"' in shown
