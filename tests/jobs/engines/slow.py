"""A task that takes a moment, and has one effect in a transaction and one outside."""

import asyncio
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy.jobs import task
from roadworthy.testing.contract_tasks import effects


@task(name="tests.slow", attempts=20)
async def slow(tx: AsyncSession, log: str, name: str) -> None:
    _write(log, name)
    await asyncio.sleep(0.02)
    await tx.execute(insert(effects).values(name=name))


def _write(log: str, name: str) -> None:
    with Path(log).open("a") as file:
        file.write(f"{name}\n")
