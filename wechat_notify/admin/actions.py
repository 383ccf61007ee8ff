"""Actions of a list, said in such a way that other themes than Django's own can offer them."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.admin import helpers

from ..wechat.errors import Words

Action = TypeVar("Action", bound=Callable[..., Any])


def list_action(description: Words, permission: str) -> Callable[[Action], Action]:
    """As ``admin.action``, whose mark in Django 6.1 simpleui cannot write into its page: the list
    would fail."""

    def mark(action: Any) -> Any:
        action.short_description = description
        action.allowed_permissions = [permission]
        return action

    return mark


class ActionForm(helpers.ActionForm):
    """With the attribute that django-unfold's page watches: without it, its button to run the
    chosen action never shows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["action"].widget.attrs["x-model"] = "action"
