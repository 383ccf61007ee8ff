"""What people are called: one rule, in the order in which their language writes it."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.checks import run_checks

from tests.factories import make_binding, make_user
from wechat_notify.admin.parts.people import shown_name
from wechat_notify.models import BindingRequest, SendLog
from wechat_notify.names import full_name, name_of
from wechat_notify.writing.recipients import Target


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("小明", "王", "王小明"),
        ("Ada", "Lovelace", "Ada Lovelace"),
        ("管理员", "", "管理员"),
        ("", "王", "王"),
        ("", "Lovelace", "Lovelace"),
        ("Ada", "王", "王Ada"),
        ("", "", ""),
        (None, "王", "王"),
        ("Ada", None, "Ada"),
        (None, None, ""),
    ],
)
def test_a_name_is_written_as_its_language_does(
    first: str | None, last: str | None, expected: str
) -> None:
    """The family name first and no blank where there is a Chinese character. A site's own model
    may have NULL for either."""
    assert full_name(get_user_model()(first_name=first, last_name=last)) == expected


def test_a_sites_own_full_name_is_its_own_business() -> None:
    """A model that says what its people are called is not corrected."""

    class Nicknamed:
        first_name, last_name = "小明", "王"

        def get_full_name(self) -> str:
            return "小明同学"

    class Unnamed(Nicknamed):
        def get_full_name(self) -> Any:
            return None

    assert full_name(Nicknamed()) == "小明同学"
    assert full_name(Unnamed()) == ""


def test_a_user_without_names_has_none() -> None:
    """A user model need not have them."""

    class Bare(AbstractBaseUser):
        username: Any = "bare"

        class Meta:
            app_label = "tests_names"
            abstract = True

    assert full_name(object.__new__(Bare)) == ""


class Member:
    """A user of a site's own model, as far as its name goes."""

    USERNAME_FIELD = "login"

    def __init__(self, text: str | None = None, **values: Any) -> None:
        self.login: Any = None
        self.email: Any = None
        self.pk: Any = 7
        self.text = text
        self.__dict__.update(values)

    def __str__(self) -> str:
        return self.text if self.text is not None else self.login  # None, as AbstractBaseUser may


UUID_ = uuid.UUID("8b5e3f6a-0d1c-4c5e-9a55-3f0a8f0d1c4c")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (Member(login="wang"), "wang"),
        (Member(login=UUID_, email="wang@school.example"), "wang@school.example"),
        (Member(login=UUID_.hex, email="wang@school.example"), "wang@school.example"),
        (Member(login=None, email="wang@school.example"), "wang@school.example"),
        (Member(login=None, email="", text="王老师"), "王老师"),
        (Member(login=None, email=None, text="None"), "Member 7"),
        (Member(login=None), "Member 7"),
        (Member(login="", text="Member object (7)"), "Member 7"),
        (Member(login=" ", text=str(UUID_)), "Member 7"),
        (Member(login=UUID_, first_name="小明", last_name="王"), "王小明"),
        (Member(login="wang", get_full_name=lambda: "None None"), "wang"),
        (Member(login="wang", get_full_name=lambda: "None Wang"), "None Wang"),
    ],
)
def test_a_person_is_called_by_what_can_be_read(user: Member, expected: str) -> None:
    """The full name, the login name, the e-mail, the model's own text: never None and never a
    UUID where there is something better."""
    assert name_of(user) == expected


def test_the_same_name_stands_everywhere(db: Any) -> None:
    """A nullable or unreadable login name breaks no row's text, and no error's."""
    user = make_user(str(UUID_), email="wang@school.example")
    binding = make_binding(user)
    request = BindingRequest(user=user)
    log = SendLog(user=user)
    for text in (binding, request, log, Target("o1", user).label, shown_name(user)):
        assert "wang@school.example" in str(text)
        assert str(UUID_) not in str(text)


def nickname(user: Any) -> str:
    """A site's own rule, which has nothing to say about some."""
    return "" if user.username == "nobody" else f"@{user.username}"


def test_a_site_may_say_what_its_users_are_called(configure: Callable[..., None]) -> None:
    """USER_NAME comes first; where it says nothing, the usual rule holds."""
    configure(USER_NAME="tests.test_names.nickname")
    model = get_user_model()
    assert name_of(model(username="wang", first_name="小明", last_name="王")) == "@wang"
    assert name_of(model(username="nobody", first_name="小明", last_name="王")) == "王小明"


@pytest.mark.parametrize("path", ["school.people.nickname", "nickname", "tests.test_names.UUID_"])
def test_a_function_that_is_not_there_is_found_by_check(
    configure: Callable[..., None], db: None, path: str
) -> None:
    """And not by the first page that shows a name."""
    configure(USER_NAME=path)
    found = run_checks(tags=["wechat_notify"])
    assert [error.id for error in found] == ["wechat_notify.E004"]
    assert "USER_NAME" in found[0].msg
