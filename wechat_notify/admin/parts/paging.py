"""Pages of a table that may have millions of rows."""

from functools import cached_property
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest


class AtLeast(int):
    """The number at which counting stopped. It compares as an int and reads "10000+"."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # generic in its stubs only
    """Counts ``most_counted`` rows at most: counting all rows would read them all on every visit.

    This also keeps OFFSET small. Older rows are reached by ``?id__lt=``, by filters and by the
    search.
    """

    most_counted = 10_000

    @cached_property
    def count(self) -> int:
        # Counting needs no order, which would cost a sort.
        rows: Any = self.object_list
        found: int = rows.order_by()[: self.most_counted + 1].count()
        return AtLeast(self.most_counted) if found > self.most_counted else found


class EndlessChangeList(ChangeList):
    """``older_url`` leads to the rows after the last counted page; "" if there are none."""

    older_url = ""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        is_last = self.page_num == self.paginator.num_pages
        if is_last and isinstance(self.result_count, AtLeast):
            rows = list(self.result_list)
            self.result_list: Any = rows
            self.older_url = self.get_query_string({"id__lt": rows[-1].pk}, ["p"])
