"""What somebody has filled in so far, from the request of whatever page they are on."""

from django.http import HttpRequest, QueryDict

from ...exceptions import UnreadableTable
from .table_text import decode, most_bytes

LEAVE_OUT = "_leave_out"
"""The button that leaves out whoever cannot get the message."""


def filled_in(request: HttpRequest) -> tuple[QueryDict, str]:
    """The inputs, and why an uploaded table cannot be read, or "".

    The text of an uploaded table takes the place of a pasted one, so that the next page sends it on
    as any other input.
    """
    if request.method != "POST":
        return request.GET, ""
    given = request.POST.copy()
    if LEAVE_OUT in given:
        given["leave_out"] = "on"
    upload = request.FILES.get("table_file")
    if upload:
        upload.seek(0)
        try:
            given["table"] = decode(upload.read(most_bytes() + 1))
        except UnreadableTable as error:
            return given, str(error)
    return given, ""
