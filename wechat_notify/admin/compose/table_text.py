"""A table as text: what a file or a pasted text has in its cells, line by line."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings as django_settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from ...exceptions import UnreadableTable

MOST_ROWS = 5_000
MOST_COLUMNS = 100
MOST_BYTES = 2 * 1024 * 1024

# A spreadsheet in China saves CSV as GB18030 or its subset GBK, "Unicode text" as UTF-16.
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_GUESSES = ("utf-8", "gb18030")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# In the order of preference, for a line that has as many of two. The last two are Chinese.
_DELIMITERS = ("\t", ",", ";", "，", "；")
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of its first line, and its cells without blanks around them."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The headings, and all rows that are not empty."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]


def most_bytes() -> int:
    """The largest table. It is a part of each page's form until it is sent, and Django refuses a
    form of more than DATA_UPLOAD_MAX_MEMORY_SIZE."""
    limit: int | None = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return MOST_BYTES if limit is None else min(MOST_BYTES, limit * 4 // 5)


def decode(raw: bytes) -> str:
    """The text of a CSV file, in whatever encoding a spreadsheet has saved it.

    Raises ``UnreadableTable`` for a workbook, a file that is too large, and one that is no text.
    """
    if raw.startswith(_WORKBOOKS):
        raise UnreadableTable(_("This is a workbook. Save it as CSV in your spreadsheet first."))
    if len(raw) > most_bytes():
        raise UnreadableTable(_too_large())
    marked = [name for mark, name in _MARKS.items() if raw.startswith(mark)]
    for encoding in marked or _GUESSES:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UnreadableTable(_("This is no text file, or its encoding is neither UTF-8 nor GB18030."))


def read(text: str) -> Table:
    """The table in ``text``, with its cells apart by tabs, commas or semicolons.

    A cell in quotation marks may have line breaks. Raises ``UnreadableTable``.
    """
    if len(text.encode(errors="surrogatepass")) > most_bytes():
        raise UnreadableTable(_too_large())
    rows = _rows(text.lstrip("\ufeff"))
    headings = next(rows, None)
    if headings is None:
        raise UnreadableTable(_("It is empty."))
    if len(headings.cells) > MOST_COLUMNS:
        raise UnreadableTable(_("It has more than %d columns.") % MOST_COLUMNS)
    found: list[Row] = []
    for row in rows:
        if len(found) == MOST_ROWS:
            raise UnreadableTable(_("It has more than %d rows.") % MOST_ROWS)
        found.append(row)
    return Table(_without_empty_end(headings.cells), tuple(found))


def _rows(text: str) -> Iterator[Row]:
    """All rows that have something in a cell."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=_delimiter(text),
        skipinitialspace=True,
        strict=True,
    )
    line = 1
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                yield Row(line, stripped)
            line = reader.line_num + 1
    except csv.Error as error:
        told = _("Line %d cannot be read: a quotation mark is missing, or is one too many.")
        raise UnreadableTable(told % line) from error


def _delimiter(text: str) -> str:
    """What stands between the headings."""
    first = next((line for line in _LINE_END.split(text) if line.strip()), "")
    return max(_DELIMITERS, key=first.count)


def _without_empty_end(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Without the empty columns that a spreadsheet may add."""
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def _too_large() -> str:
    return _("It is larger than %s.") % filesizeformat(most_bytes())
