"""Tasks whose types are only written down, as `from __future__ import annotations` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from roadworthy.jobs import task

if TYPE_CHECKING:
    from decimal import Decimal


@task
async def ahead(box: Box) -> None: ...


@task
async def hidden(amount: Decimal) -> None: ...


class Box(BaseModel):
    label: str
    inner: Box | None = None
