"""For a site's own admin: what it knows of its users, offered to whoever composes a message."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .wechat.errors import Words

ATTRIBUTE = "wechat_recipients"


@dataclass(frozen=True, slots=True)
class Segment:
    """Users who can be chosen together, such as the parents of one class.

    ``name`` stands in saved recipients and stays the same; ``label`` is shown. ``users`` is a
    QuerySet of the user model, which is read anew for each message.
    """

    name: str
    label: Words
    users: QuerySet[Any]


class WeChatRecipients:
    """What a site offers for choosing recipients and for writing to each of them.

    ::

        class SchoolRecipients(WeChatRecipients):
            segments_label = "班级"
            placeholders = {"child": "孩子姓名", "profile.room": "教室"}
            columns = {"学号": "children__number"}

            def segments(self, request):
                for room in Room.objects.all():
                    users = User.objects.filter(children__room=room)
                    yield Segment(f"room-{room.pk}", room.name, users)

            def child(self, user):
                return "、".join(child.name for child in user.children.all())

            def related(self, users):
                return users.select_related("profile").prefetch_related("children")

        class SchoolAdminSite(admin.AdminSite):
            wechat_recipients = SchoolRecipients
    """

    placeholders: ClassVar[Sequence[str] | Mapping[str, Words]] = ()
    """More names that may follow ``user.`` in a message, with their labels if it is a mapping.

    A name is a method of this class, which gets the user; or else an attribute of the user, or of
    what it leads to.
    """

    columns: ClassVar[Mapping[str, str]] = {}
    """Headings of tables that name a person, each with its lookup from the user model."""

    segments_label: ClassVar[Words] = _("Segments")

    def segments(self, request: HttpRequest) -> Iterable[Segment]:
        """The segments that this member of staff may choose."""
        return ()

    def related(self, users: QuerySet[Any]) -> QuerySet[Any]:
        """``users`` with what placeholders read of each, so that nothing is asked for each one."""
        return users


def segments_of(offered: WeChatRecipients, request: HttpRequest) -> dict[str, Segment]:
    """The segments by name. Raises ``ImproperlyConfigured`` for what would reach other people."""
    found: dict[str, Segment] = {}
    for segment in offered.segments(request):
        where = f"{type(offered).__name__}.segments(): {segment.name!r}"
        if not issubclass(segment.users.model, get_user_model()):
            raise ImproperlyConfigured(f"{where} has rows that are no users.")
        if segment.name in found:
            raise ImproperlyConfigured(f"{where} is the name of two segments.")
        found[segment.name] = segment
    return found


def recipients_of(site: AdminSite) -> WeChatRecipients:
    """What this site offers; nothing more than the app itself if it says nothing."""
    offered: Any = getattr(site, ATTRIBUTE, WeChatRecipients)
    made: WeChatRecipients = offered()
    return made
