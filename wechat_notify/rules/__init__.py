"""Rules that people write in the admin: which change of an object tells whom what.

An app of its own: ``INSTALLED_APPS += ["wechat_notify.rules"]``. What rules may see of a model is
declared in code, in a module that the site's ``AppConfig.ready()`` imports::

    from wechat_notify.rules import allow

    allow(Order, fields=["status", "number", "total"], recipients={"buyer": "买家"})
"""

from .allowed import allow

__all__ = ["allow"]
