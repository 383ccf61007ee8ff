"""List actions that work in themes other than Django's own too."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.admin import helpers
from django.http import HttpRequest

from ...wechat.errors import Words

Action = TypeVar("Action", bound=Callable[..., Any])


def list_action(description: Words, permission: str) -> Callable[[Action], Action]:
    """Like ``admin.action``. What that sets in Django 6.1, simpleui cannot write into its page, and
    the list page fails."""

    def mark(action: Any) -> Any:
        action.short_description = description
        action.allowed_permissions = [permission]
        return action

    return mark


def chosen_rows(request: HttpRequest, action: str) -> list[tuple[str, str]]:
    """The action, and the rows that it was chosen for, as hidden inputs of the page that asks.

    Empty where the page was not opened from a list.
    """
    if "action" not in request.POST:
        return []
    names = ("select_across", helpers.ACTION_CHECKBOX_NAME)
    chosen = [(name, value) for name in names for value in request.POST.getlist(name)]
    return [("action", action), *chosen]


class ActionForm(helpers.ActionForm):
    """Has the attribute without which django-unfold never shows the button that runs the action."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["action"].widget.attrs["x-model"] = "action"
