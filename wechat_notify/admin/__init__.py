"""The admin's pages, one module for each model. Imported by Django's ``admin.autodiscover()``."""

from . import bindings, notifications, recipients, sendlog, templates

__all__ = ["bindings", "notifications", "recipients", "sendlog", "templates"]
