"""How the list of notifications is searched: by title, shared content, template, key and number."""

import re

from django.db.models import Case, Q, QuerySet, Value, When

from ...models import MessageTemplate, Notification, folded

# The largest primary key has 19 digits, and not all numbers of 19 digits are one.
_NUMBER = re.compile("#?([0-9]{1,18})")


def search(rows: QuerySet[Notification], term: str) -> QuerySet[Notification]:
    """Those of ``rows`` that ``term`` finds.

    Every word of it stands in the title, in a value that all recipients share, or in the title or
    name of the template; or it is the whole key. "#9" is the number alone. "9" is searched like any
    word, and number 9 comes first. What differs for each recipient is not searched.
    """
    number = _NUMBER.fullmatch(term)
    if number is None:
        return rows.filter(_says(term))
    this = Q(pk=int(number[1]))
    if term.startswith("#"):
        return rows.filter(this)
    first = Case(When(this, then=Value(0)), default=Value(1))
    return rows.filter(this | _says(term)).order_by(first, *rows.query.order_by)


def _says(term: str) -> Q:
    words = Q()
    for word in term.split():
        templates = MessageTemplate.objects.filter(
            Q(title__icontains=word) | Q(name__icontains=word)
        )
        # Both sides are folded: comparing without regard to case would take several times as long.
        words &= Q(search_text__contains=folded(word)) | Q(template__in=templates.values("pk"))
    return words | Q(key=term)
