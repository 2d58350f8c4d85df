"""One table: the fault, what clients saw of it, what was lost, and how long it took."""

import platform
import time
from dataclasses import dataclass
from typing import Final

from faults.audit import Findings
from faults.load import Told

__all__ = ["ROWS", "Row", "add", "written"]


@dataclass(frozen=True)
class Row:
    """What one fault did."""

    where: str
    fault: str
    told: Told
    findings: Findings
    recovered_in: float
    """Seconds from the end of the fault to the last request that failed."""


ROWS: Final[list[Row]] = []


def add(row: Row) -> None:
    """Keep a row."""
    ROWS.append(row)


def written() -> str:
    """Return the table as Markdown."""
    head = (
        "# Faults\n\n"
        "Depot under mixed load (orders with an Idempotency-Key, actions, patches, reads) while "
        "something fails. *Lost*: acknowledged, and not there. *Doubled*: there more often than "
        "asked for. Both are counted in the database and in the mail that was written, once "
        "nothing is left to run. *Recovered*: seconds from the end of the fault to the last "
        "request that failed.\n\n"
        "| where | fault | requests | errors that clients saw | lost | doubled | half done "
        "| recovered |\n| :-- | :-- | --: | :-- | --: | --: | --: | --: |\n"
    )
    rows = "".join(map(_line, ROWS))
    day = time.strftime("%Y-%m-%d", time.gmtime())
    foot = (
        f"\nObtained on {day} with `FAULTS_TABLE=benchmarks/results/faults.md python -m pytest "
        f"tests/faults`, Python {platform.python_version()}, on {platform.machine()}.\n"
    )
    return head + rows + foot


def _line(row: Row) -> str:
    errors = ", ".join(f"{count} {code}" for code, count in row.told.errors.most_common())
    found = row.findings
    return (
        f"| {row.where} | {row.fault} | {row.told.requests} | {errors or '-'} "
        f"| {len(found.lost)} | {len(found.doubled)} | {len(found.half_done)} "
        f"| {max(0.0, row.recovered_in):.1f} s |\n"
    )
