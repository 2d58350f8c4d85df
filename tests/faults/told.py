"""What clients asked for, and what they were told: all that can be held against a service."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

__all__ = ["Document", "Order", "Told"]


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was acknowledged, and how to ask for it once more."""

    id: str
    key: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was acknowledged."""

    id: str
    sha256: str


@dataclass
class Told:
    """What the clients asked, and what they were told.

    *Refused* means answered with an error, *doubtful* not answered at all: then nobody
    can know, and either is right.
    """

    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """By code, or by the name of the transport's error."""
    wrong: list[str] = field(default_factory=list)
    """Answers that were not in the contract."""
    orders: dict[str, Order] = field(default_factory=dict)
    """By the address that bought."""
    refused_orders: set[str] = field(default_factory=set)
    doubtful_orders: set[str] = field(default_factory=set)
    actions: Counter[str] = field(default_factory=Counter)
    """By user: how many were accepted."""
    refused_actions: Counter[str] = field(default_factory=Counter)
    doubtful_actions: Counter[str] = field(default_factory=Counter)
    documents: dict[str, Document] = field(default_factory=dict)
    """By their names, which are never used twice."""
    refused_documents: set[str] = field(default_factory=set)
    doubtful_documents: set[str] = field(default_factory=set)
    counted: int = 0
    """Changes that were made with If-Match, each of them adding one."""
    refused_counts: int = 0
    doubtful_counts: int = 0
    failed_at: float = 0.0
    """When the last request failed, on the monotonic clock."""

    def note(self, code: str) -> None:
        """Count an error."""
        self.errors[code] += 1
        self.failed_at = time.monotonic()

    def note_answer(self, answer: httpx.Response) -> None:
        """Count an answer that is an error, and see whether it is in the contract."""
        try:
            error = answer.json()["error"]
            assert error["code"] == answer.headers["x-error-code"]
            assert error["request_id"] == answer.headers["x-request-id"]
        except (AssertionError, KeyError, ValueError):
            self.wrong.append(f"{answer.status_code} {answer.text[:200]}")
            self.note(f"{answer.status_code} outside of the contract")
        else:
            self.note(f"{answer.status_code} {error['code']}")
