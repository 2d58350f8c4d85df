"""`Outcome`: how an attempt at a job may end."""

from typing import Literal, TypeAlias

__all__ = ["Outcome"]

Outcome: TypeAlias = Literal[
    "succeeded", "completed", "retried", "dead", "cancelled", "parked", "released", "lost"
]
"""How an attempt has ended.

The row has the outcome already, except for `succeeded` and `released`: the loop writes those two,
for many jobs in one transaction. `completed` is a success that the job's own transaction wrote.
"""
