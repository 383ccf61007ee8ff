"""Placeholders in a message's values: what they give each recipient, and what they never give."""

import datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist

from tests.factories import make_user
from wechat_notify.exceptions import InvalidData, PlaceholderError
from wechat_notify.placeholders import (
    PersonalData,
    PersonalText,
    has_placeholders,
    usable_names,
)
from wechat_notify.wechat.values import to_text

NAMES = usable_names()
MOMENT = datetime.datetime(2026, 11, 23, 7, 1, tzinfo=datetime.timezone.utc)


def alice(**fields: Any) -> Any:
    return get_user_model()(username="alice", first_name="爱丽丝", last_name="王", **fields)


def written(text: str, person: Any = None, names: Any = NAMES) -> Any:
    return PersonalText(text, names).for_person(alice() if person is None else person)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ user.first_name }}", "爱丽丝"),
        ("{{user.last_name}}家长您好", "王家长您好"),
        ("{{ user.username|upper }}", "ALICE"),
        ("{{ user.email|default:'没有邮箱' }}", "没有邮箱"),
        ("{{ user.email|default:user.username }}", "alice"),
        ("{{ user.get_full_name|truncatechars:3 }}！", "王爱…！"),
        ("{{ 'x' }}{{ user.username|first }}", "xa"),
        ("  {{ user.username }} {# a comment #} ", "alice"),
    ],
)
def test_what_a_person_gets(text: str, expected: str) -> None:
    """Names and filters are filled in for each user; blanks around it go."""
    assert written(text) == expected


def test_the_names_are_those_of_the_user_model() -> None:
    """The form offers what people know each other by, with the model's own words for it."""
    assert list(NAMES) == [
        "first_name",
        "last_name",
        "username",
        "email",
        "get_full_name",
        "get_short_name",
    ]
    assert NAMES["first_name"] == "First name"


def test_plain_text_is_not_escaped() -> None:
    """A card is plain text: an apostrophe or a < in a name arrives as it is."""
    person = alice()
    person.first_name = "O'Neill <b>"
    assert written("{{ user.first_name }}.", person) == "O'Neill <b>."


@pytest.mark.parametrize(
    "text",
    [
        "{{ user.password }}",
        "{{ user.is_superuser }}",
        "{{ user.pk }}",
        "{{ user.delete }}",
        "{{ user.set_password }}",
        "{{ user.save.__globals__ }}",
        "{{ user._meta.app_config.module }}",
        "{{ user.__class__ }}",
        "{{ user.first_name.__class__ }}",
        "{{ user.first_name.format }}",
        "{{ user.groups.all }}",
        "{{ user.user_permissions }}",
        "{{ user.wechat_bindings.all.0.openid }}",
        "{{ user.username.0 }}",
        "{{ user }}",
        "{{ first_name }}",
        "{{ request.user.password }}",
        "{{ settings.SECRET_KEY }}",
        "{{ True }}",
        "{{ user.email|default:user.password }}",
        "{{ block.super }}",
        "{% include '/etc/passwd' %}",
        "{% extends 'admin/base.html' %}",
        "{% load static %}",
        "{% debug %}",
        "{% now 'Y' %}",
        "{% csrf_token %}",
        "{% url 'admin:index' %}",
        "{% for x in '1234567890' %}{{ user.username }}{% endfor %}",
        "{% if user.password %}x{% endif %}",
        "{% verbatim %}{{ user.password }}{% endverbatim %}",
        "{% with p=user.password %}{{ p }}{% endwith %}",
        "{{ user.username|safe }}",
        "{{ user.username|pprint }}",
        "{{ user.username|center:'99999999' }}",
        "{{ user.username|ljust:'99999999' }}",
        "{{ user.username|floatformat:99999999 }}",
        "{{ user.username|make_list }}",
        "{{ user.username|add:user.password }}",
        "{{ user.first_name",
        "user.first_name }}{{",
        "{{ }}",
        "{{ user.first_name ) }}",
        "{{ {{ user.first_name }} }}",
        "{%",
    ],
)
def test_what_nobody_gets_out_of_it(text: str) -> None:
    """No tag, no file, no setting, no method, no private or unlisted name: refused when read."""
    assert has_placeholders(text)
    with pytest.raises(PlaceholderError) as caught:
        PersonalText(text, NAMES)
    assert str(caught.value)


def test_a_refusal_says_what_can_be_used() -> None:
    """Whoever mistypes a name is told the ones there are."""
    with pytest.raises(PlaceholderError, match=r"user\.nickname.*user\.first_name"):
        PersonalText("{{ user.nickname }}", NAMES)
    with pytest.raises(PlaceholderError, match=r"only .* works here"):
        PersonalText("{% now 'Y' %}", NAMES)


@pytest.mark.parametrize("name", ["password", "_state", "groups.__class__", "old_password_hash"])
def test_a_site_cannot_allow_a_secret_by_mistake(name: str) -> None:
    """Passwords and private names stay out even where a site lists them."""
    with pytest.raises(ImproperlyConfigured, match="no placeholder"):
        usable_names([name])


def test_a_name_and_what_stands_behind_it_cannot_both_be_allowed() -> None:
    """ "groups" and "groups.name" would be a text and a thing with names at once."""
    with pytest.raises(ImproperlyConfigured, match="groups"):
        usable_names(["groups.name", "groups"])


@pytest.mark.django_db
def test_names_that_a_site_allows() -> None:
    """More of a user by the site's choice: dates, numbers, and other things as their text."""
    person = make_user(first_name="爱丽丝")
    person.date_joined = MOMENT
    names = usable_names(["date_joined", "is_staff", "groups", "auth_token", "profile.name"])
    assert written("{{ user.date_joined|date:'Y-m-d' }}", person, names) == "2026-11-23"
    assert written("{{ user.is_staff|yesno:'是,否' }}", person, names) == "否"
    assert written("{{ user.groups }}.", person, names) == "."
    assert written("{{ user.auth_token }}{{ user.profile.name }}", person, names) == ""


def test_a_relation_without_its_other_end() -> None:
    """A one-to-one relation that this user lacks is empty, and no error."""

    class Person:
        @property
        def profile(self) -> Any:
            raise ObjectDoesNotExist

    assert written("{{ user.profile.name }}!", Person(), ["profile.name"]) == "!"


def test_methods_that_change_something_are_never_called() -> None:
    """Not even where a site lists one."""

    class Person:
        def erase(self) -> None:
            raise AssertionError

        erase.alters_data = True  # type: ignore[attr-defined]

    assert written("{{ user.erase }}!", Person(), ["erase"]) == "!"


def test_a_date_that_stands_alone_is_written_as_its_field_wants_it() -> None:
    """A lone placeholder keeps its date, so a time field shows WeChat's own form."""
    person = alice(date_joined=MOMENT)
    value = written("{{ user.date_joined }}", person, usable_names(["date_joined"]))
    assert to_text(value, "time") == "2026年11月23日 15:01"


def test_an_openid_has_no_user() -> None:
    """Recipients without a user get what the default filter says, or nothing."""
    assert written("{{ user.first_name|default:'家长' }}", "oTest1") == "家长"
    assert written("{{ user.first_name }}", "oTest1") == ""


def test_values_that_all_share() -> None:
    """Without a placeholder the data is one mapping for everybody."""
    data = PersonalData({"thing1": "校服", "thing2": "100% {x}"}, NAMES)
    assert data.source == {"thing1": "校服", "thing2": "100% {x}"}
    assert data.personal_fields == []
    assert data.problems == {}


def test_values_that_differ() -> None:
    """With one the data is a function of the recipient, in the fields' order."""
    data = PersonalData({"thing1": "{{ user.first_name }}", "thing2": "校服"}, NAMES)
    assert data.personal_fields == ["thing1"]
    assert callable(data.source)
    assert list(data.source(alice()).items()) == [("thing1", "爱丽丝"), ("thing2", "校服")]


def test_problems_are_named_by_field() -> None:
    """All values that cannot be read are told at once."""
    data = PersonalData({"a1": "{{ user.password }}", "b2": "{% x %}", "c3": "ok"}, NAMES)
    assert sorted(data.problems) == ["a1", "b2"]


def test_a_filter_that_cannot_work_on_a_value() -> None:
    """It is a problem of that person, who is named."""
    names = usable_names(["date_joined"])
    data = PersonalData({"a1": "{{ user.date_joined|first }}.", "b2": "ok"}, names)
    with pytest.raises(InvalidData) as caught:
        data.for_person(alice(date_joined=MOMENT))
    [problem] = caught.value.problems
    assert (problem.field, problem.recipient) == ("a1", "王爱丽丝")
