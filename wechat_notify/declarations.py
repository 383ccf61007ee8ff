"""The templates and fields that a site's code uses. The system checks find a renamed field.

    from wechat_notify.declarations import declare

    declare("order_paid", fields=["order_no", "title", "amount", "paid_at"])

``notify_on`` declares its template and its ``fields`` itself. ``manage.py migrate``, and
``manage.py check --tag wechat_notify --database default``, compare the declarations with the
registered templates (see ``checks.py``).

Call ``declare()`` in a module that is imported at the start: beside the code that calls
``notify()``, or in the site's ``AppConfig.ready()``. It reads neither settings nor database.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .conf import DEFAULT_ACCOUNT


@dataclass(frozen=True, slots=True)
class Declaration:
    """A template that code uses. ``fields`` None: the code did not declare its fields."""

    template: str
    account: str = DEFAULT_ACCOUNT
    fields: frozenset[str] | None = None


declared: dict[Declaration, None] = {}
"""Every declaration once, in the order of the calls."""


def fields_of(template: str, account: str) -> frozenset[str] | None:
    """Every field of this template that code fills in. None: the template is not declared."""
    found = [one for one in declared if (one.template, one.account) == (template, account)]
    return frozenset().union(*(one.fields or () for one in found)) if found else None


def declare(
    template: str, *, fields: Iterable[str] | None = None, account: str = DEFAULT_ACCOUNT
) -> Declaration:
    """Declare that code uses ``template`` of ``account`` and fills in exactly these ``fields``.

    ``template`` is the name used in code, ``fields`` are the names as in ``data``: the site's own
    words, which the admin then proposes as the template's ``field_names``, or WeChat's keys. None
    declares only that the template is used. A second call with the same arguments does nothing.
    """
    if isinstance(fields, str):
        raise TypeError(f"fields must be several names, such as [{fields!r}], not one text.")
    names = None if fields is None else frozenset(fields)
    declaration = Declaration(template, account, names)
    declared[declaration] = None
    return declaration
