"""Nulls of a request that are written: what was sent is kept, whatever it is."""

from collections.abc import Iterator
from dataclasses import dataclass
import ast

from roadworthy.audit import held, models, names
from roadworthy.audit.columns import Stored, stored
from roadworthy.audit.held import Held
from roadworthy.audit.module import Class
from roadworthy.audit.omitted import Trace, Write
from roadworthy.audit.reach import Reached
from roadworthy.audit.module import Function
from roadworthy.audit.routes import Body, Route

__all__ = ["NullWrite", "null_writes"]
