"""The rules, what each of them did, and requests to switch them on."""

from .firing import Firing
from .rule import Rule
from .switch_request import SwitchRequest

__all__ = ["Firing", "Rule", "SwitchRequest"]
