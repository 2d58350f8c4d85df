"""The problems of requests with an Idempotency-Key."""

from roadworthy.problems import Problem

__all__ = [
    "IdempotencyInProgress",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyRequired",
    "IdempotencyKeyReused",
]


class IdempotencyKeyInvalid(Problem):
    """The Idempotency-Key is neither a token nor a quoted string, or it is too long."""

    status = 400
    title = "Invalid idempotency key"
    detail = (
        "Idempotency-Key takes 1 to 255 characters: a token such as a UUID, "
        "or a string in double quotes."
    )


class IdempotencyKeyRequired(Problem):
    """The operation is only done for requests that can be repeated safely."""

    status = 400
    title = "Idempotency key required"
    detail = "Send an Idempotency-Key: a new UUID for each new operation."


class IdempotencyKeyReused(Problem):
    """The Idempotency-Key came with another request before."""

    status = 422
    title = "Idempotency key reused"
    detail = (
        "This Idempotency-Key belongs to another request. Use a new key, or repeat the first "
        "request unchanged."
    )


class IdempotencyInProgress(Problem):
    """The first request with this Idempotency-Key is still running."""

    status = 409
    title = "Request in progress"
    detail = "The first request with this Idempotency-Key has no answer yet. Repeat it shortly."
    headers = {"Retry-After": "1"}  # noqa: RUF012 - never changed
