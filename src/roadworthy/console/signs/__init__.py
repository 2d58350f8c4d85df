"""The signs by which an operator sees whether it is safe to roll out, each with its reason."""

from roadworthy.console.signs.gathering import gather
from roadworthy.console.signs.sign import Sign, Verdict, verdict_of

__all__ = ["Sign", "Verdict", "gather", "verdict_of"]
