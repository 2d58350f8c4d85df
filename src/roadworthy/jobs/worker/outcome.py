"""`Outcome`: what may become of an attempt at a job."""

from typing import Literal, TypeAlias

__all__ = ["Outcome"]

Outcome: TypeAlias = Literal[
    "succeeded", "completed", "retried", "dead", "cancelled", "parked", "released", "lost"
]
"""What has become of an attempt.

The row says so already, except for `succeeded` and `released`: the loop writes down those two,
for many jobs in one transaction. `completed` is a success that the job's own transaction wrote.
"""
