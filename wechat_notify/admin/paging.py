"""Pages of a table that may have millions of rows."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:  # generic in its stubs only
    _Paginator = Paginator

COUNTED = 10_000


class AtLeast(int):
    """A number of rows beyond which nobody counted. It compares as it is and reads "10000+"."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class CappedPaginator(_Paginator):
    """Counts ``COUNTED`` rows at most: counting them all reads them all, on every visit.

    It also keeps the OFFSET small. What lies beyond is reached by ``?id__lt=``, by filters and by
    the search.
    """

    @cached_property
    def count(self) -> int:
        # order_by(): the order is no part of the number, and costs a sort.
        rows: Any = self.object_list
        found: int = rows.order_by()[: COUNTED + 1].count()
        return AtLeast(COUNTED) if found > COUNTED else found


class EndlessChangeList(ChangeList):
    """Knows the address of what comes after the last page that was counted; "" if nothing does."""

    older_url = ""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        is_last = self.page_num == self.paginator.num_pages
        if is_last and isinstance(self.result_count, AtLeast):
            rows = list(self.result_list)
            self.result_list: Any = rows
            self.older_url = self.get_query_string({"id__lt": rows[-1].pk}, ["p"])
