"""What a site's code expects of its templates, so that a renamed field breaks the deploy.

    from wechat_notify.declarations import declare

    declare("order_paid", fields=["character_string1", "thing2"])

``notify_on`` declares by itself: the template that it names, and the fields in its ``fields``.
``manage.py migrate``, and ``manage.py check --tag wechat_notify --database default``, compare what
is declared with the registered templates; ``checks.py`` says how.

Declare where modules are imported at the start: beside the code that calls ``notify()``, or in the
site's ``AppConfig.ready()``. Declaring reads neither settings nor database.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .conf import DEFAULT_ACCOUNT


@dataclass(frozen=True, slots=True)
class Declaration:
    """A template that code uses. ``fields`` None: the code did not say what it fills in."""

    template: str
    account: str = DEFAULT_ACCOUNT
    fields: frozenset[str] | None = None


declared: dict[Declaration, None] = {}
"""Every declaration once, in the order in which they were made."""


def declare(
    template: str, *, fields: Iterable[str] | None = None, account: str = DEFAULT_ACCOUNT
) -> Declaration:
    """Say that code notifies with ``template`` of ``account`` and fills in just these ``fields``.

    ``template`` is the name used in code, ``fields`` the names as in ``data``: ``thing1``. None
    declares only that the template is used. Saying it twice is saying it once.
    """
    if isinstance(fields, str):
        raise TypeError(f"fields must be several names, such as [{fields!r}], not one text.")
    names = None if fields is None else frozenset(fields)
    declaration = Declaration(template, account, names)
    declared[declaration] = None
    return declaration
