"""A CSV file for a spreadsheet, streamed while its rows are read."""

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone, translation

# Without it a spreadsheet assumes its own old encoding, and shows no Chinese.
BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet calculates a cell that begins like this, and people choose their own names.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
# It writes a longer number as 2.92E+18, and forgets all digits after the fifteenth: a msgid has 19.
DIGITS_KEPT = 11


def csv_response(
    file_name: str, headings: Iterable[str], rows: Iterable[Iterable[Any]]
) -> StreamingHttpResponse:
    """The file of these rows, in the language of the page. ``rows`` is read as the file is sent."""
    lines = _lines([str(heading) for heading in headings], rows, translation.get_language())
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


class _Echo:
    """A file for ``csv`` that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        return line


def _lines(
    headings: list[str], rows: Iterable[Iterable[Any]], language: str | None
) -> Iterator[str]:
    # The lines are made after the view has returned, when its language is no longer active.
    with translation.override(language):
        writer = csv.writer(_Echo())
        yield BYTE_ORDER_MARK + writer.writerow(headings)
        for row in rows:
            yield writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> Any:
    """A value as a spreadsheet reads it. A text that it would calculate gets an apostrophe, and a
    long number a tab, which makes it a text.
    """
    if value is None:
        return value
    if isinstance(value, datetime):
        return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    if text.isdecimal() and len(text) > DIGITS_KEPT:
        return f"\t{text}"
    if isinstance(value, int):
        return value
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text
