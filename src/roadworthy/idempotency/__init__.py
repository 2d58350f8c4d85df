"""Let clients repeat a POST or PATCH: its effects happen once.

    once = Idempotency(Tx, ttl=timedelta(hours=24))

    @router.post("/orders", status_code=201, dependencies=[once.key])
    async def add_order(order: NewOrder, tx: Tx) -> Order: ...

A client names its request with `Idempotency-Key`. The answer is stored in the transaction of the
effects, so there are both or neither. A repeat gets the stored answer again, with
`Idempotent-Replayed: true`. Source: draft-ietf-httpapi-idempotency-key-header.
"""

from roadworthy.idempotency.answers_table import metadata, sweep, sweep_sync, table
from roadworthy.idempotency.dependency import Idempotency, by_authorization
from roadworthy.idempotency.errors import (
    IdempotencyInProgress,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
)
from roadworthy.idempotency.found_answers import FoundAnswer, of_request
from roadworthy.idempotency.guard import TransactionEnded
from roadworthy.idempotency.kept import CannotKeep
from roadworthy.idempotency.key import Key

__all__ = [
    "CannotKeep",
    "FoundAnswer",
    "Idempotency",
    "IdempotencyInProgress",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyRequired",
    "IdempotencyKeyReused",
    "Key",
    "TransactionEnded",
    "by_authorization",
    "metadata",
    "of_request",
    "sweep",
    "sweep_sync",
    "table",
]
