"""What people got in an earlier notification: the same for all, and each person's own."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from django.db.models import Q

from ...models import MessageTemplate, Notification, OpenIDBinding, SendLog, pages_by_key
from ...wechat.naming import keys_of
from .earlier import EarlierPeople
from .table_people import Person, key_of

CHUNK = 2_000
# All messages of a notification have the same fields; some may have been skipped without any.
LOOKED_AT = 50
# Values that are equal in so many messages are written into the form, as one for all; with more
# messages than these, each person's own stays.
COMPARED = 2_000


class EarlierValues:
    """By the keys of ``template``, with which the new message is composed."""

    def __init__(self, notification: Notification, template: MessageTemplate) -> None:
        self._notification = notification
        self._template = template
        self._with_own = SendLog.objects.filter(notification=notification, data__isnull=False)

    @cached_property
    def own_fields(self) -> frozenset[str]:
        """The fields of which each message has its own value, also if they are all equal."""
        found: Iterable[Any] = self._own_data()[:LOOKED_AT]
        return frozenset(key for data in found for key in self._texts(data))

    @cached_property
    def of_all(self) -> dict[str, str]:
        """What was written once for all."""
        return self._texts(self._notification.data)

    @cached_property
    def shared(self) -> dict[str, str]:
        """What all people got, where they got the same."""
        return {**self._equal(), **self.of_all}

    def _equal(self) -> dict[str, str]:
        own = list(self._own_data()[: COMPARED + 1])
        if not own or len(own) > COMPARED:
            return {}
        first, *rest = (self._texts(data) for data in own)
        return {k: v for k, v in first.items() if all(one.get(k) == v for one in rest)}

    def _own_data(self) -> Any:
        return self._with_own.order_by("pk").values_list("data", flat=True)

    def of_each(self, people: EarlierPeople) -> dict[Person, dict[str, str]]:
        """Each person's own values. All of them are held in memory."""
        found: dict[Person, dict[str, str]] = {}
        rows = people.logs.filter(data__isnull=False).only("user_id", "openid", "data")
        for page in pages_by_key(rows.select_related(None), CHUNK):
            unknown = {row.openid: row.data for row in page if row.user_id is None}
            owners = self._bound_since(list(unknown))
            for row in page:
                texts = self._texts(row.data or {})
                user = row.user_id if row.user_id is not None else owners.get(row.openid)
                if user is not None:
                    found[(user,)] = texts
                if row.user_id is None:
                    found[row.openid] = texts
        return found

    def of_one(self, people: EarlierPeople, person: Any) -> dict[str, str]:
        """The own values of this user or openid, or else of somebody."""
        rows = people.logs.filter(data__isnull=False).order_by("pk")
        of_person = Q(openid=person) if isinstance(person, str) else Q(user=person.pk)
        row = rows.filter(of_person).first() or rows.first()
        return self._texts((row.data or {}) if row is not None else {})

    def _bound_since(self, openids: list[str]) -> dict[str, Any]:
        """The users of openids that were bound to nobody when the message was written."""
        if not openids:
            return {}
        account = self._notification.template.account
        bound = OpenIDBinding.objects.filter(account=account, openid__in=openids)
        return dict(bound.values_list("openid", "user_id"))

    def _texts(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Stored data as texts; what has no field in the template is left out."""
        keys = keys_of(data, self._notification.revision, self._template)
        labels = ((label, keys.get(label)) for label in data)
        return {key: str(data[label].get("value", "")) for label, key in labels if key}


class KeptValues:
    """Each person's own values, for the fields of a new message that are left empty.

    They are read when the first of them is asked for.
    """

    def __init__(self, values: EarlierValues, people: EarlierPeople) -> None:
        self._values = values
        self._people = people

    @property
    def fields(self) -> frozenset[str]:
        """The fields that can be left empty."""
        return self._values.own_fields

    def of(self, person: Any) -> dict[str, str]:
        """What this user or openid got; empty for somebody else."""
        return self._of_each.get(key_of(person), {})

    def sample(self, person: Any) -> dict[str, str]:
        """What this one person got, or somebody: for a preview. Does not read all values."""
        return self._values.of_one(self._people, person)

    @cached_property
    def _of_each(self) -> dict[Person, dict[str, str]]:
        return self._values.of_each(self._people)
