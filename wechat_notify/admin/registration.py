"""Registering the app's admins without importing them.

They are a hundred modules, which Django's ``autodiscover()`` would have every process of a site
import, workers and commands too.
"""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model
from django.utils.module_loading import import_string


def register(model: type[Model], path: str) -> None:
    """Register the admin class at this dotted path with Django's site, as ``admin.register`` does.

    It is imported when something is asked of it, as the site's URLs and its checks do. A site that
    registers in a way of its own, and may look at the class, is given the class itself.
    """
    if admin.site.__class__.register is admin.AdminSite.register:
        admin.site.register(model, type("LaterAdmin", (_LaterAdmin,), {"path": path}))
    else:
        admin.site.register(model, import_string(path))


class _LaterAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """Stands for an admin class, and becomes one of that class when first used.

    A site may also register it with another ``AdminSite``, or derive from it, as from the class.
    """

    path: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__bases__ = tuple(map(_real, cls.__bases__))

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        object.__setattr__(self, "stands_for", (model, admin_site))

    def __getattribute__(self, name: str) -> Any:
        kind = _real(type(self))
        if name == "__class__":
            return kind  # isinstance() asks for it, and takes no type that changes meanwhile
        model, site = object.__getattribute__(self, "stands_for")
        real = kind(model, site)
        # Another thread may use this object meanwhile: it is complete before its class is told.
        object.__getattribute__(self, "__dict__").update(real.__dict__)
        object.__setattr__(self, "__class__", kind)
        return getattr(self, name)


def _real(kind: type[Any]) -> type[Any]:
    """The class that this one stands for; any other class stands for itself."""
    is_later = issubclass(kind, _LaterAdmin) and kind.path
    real: type[Any] = import_string(kind.path) if is_later else kind
    return real
