"""The admin's pages of rules. Imported by Django's ``admin.autodiscover()``."""

from ...admin.registration import register
from ..models import Firing, Rule
from . import made_by

__all__ = ["made_by"]

register(Rule, f"{__name__}.rule_list.RuleAdmin")
register(Firing, f"{__name__}.firing_list.FiringAdmin")
