"""What people are called, in the order in which their language writes it."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser

from wechat_notify.delivery.names import full_name


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
