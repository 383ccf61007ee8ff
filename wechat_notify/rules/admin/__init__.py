"""The admin's pages of rules. Imported by Django's ``admin.autodiscover()``."""

from . import firing_list, made_by, rule_list

__all__ = ["firing_list", "made_by", "rule_list"]
