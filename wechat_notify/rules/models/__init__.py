"""The rules, and what each of them did."""

from .firing import Firing
from .rule import Rule

__all__ = ["Firing", "Rule"]
