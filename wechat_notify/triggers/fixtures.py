"""Which objects a fixture has just written.

``loaddata`` says ``raw=True`` when it saves an object, and nothing when it then sets the object's
many-to-many fields.
"""

from typing import Any

from django.db.models import Model
from django.db.models.signals import pre_save


def watch_fixtures(through: Any) -> None:
    """From now on, note the objects of either side of this table that are saved raw."""
    sides = {field.related_model for field in through._meta.concrete_fields if field.many_to_one}
    for model in sides:
        pre_save.connect(_note, sender=model, dispatch_uid="wechat_notify.fixtures")


def is_from_fixture(subject: Any) -> bool:
    """Whether this very object was saved raw."""
    return isinstance(subject, Model) and "wechat_raw" in subject._state.__dict__


def _note(sender: type[Model], instance: Model, raw: bool, **kwargs: Any) -> None:
    if raw:
        instance._state.wechat_raw = True  # type: ignore[attr-defined]
