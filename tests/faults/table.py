"""One table: the fault, what clients saw of it, what was lost, and how long it took."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faults.audit import Findings
from faults.stacks import STACKS
from faults.told import Told

__all__ = ["Row", "add"]


@dataclass(frozen=True)
class Row:
    """What one fault did."""

    where: str
    fault: str
    told: Told
    findings: Findings
    recovered_in: float
    """Seconds from the end of the fault to the last request that failed."""
    caught_up_in: float
    """Seconds from the last request until no job was left to run."""


def add(row: Row) -> None:
    """Write a row into the file that FAULTS_TABLE names, over what it had of the same fault."""
    named = os.environ.get("FAULTS_TABLE")
    if named:
        path = Path(named)
        lines = _lines(path.read_text()) if path.exists() else {}
        lines[row.where, row.fault] = _line(row)
        path.write_text(HEAD + "".join(map(lines.__getitem__, sorted(lines, key=_place))) + _foot())


def _lines(text: str) -> dict[tuple[str, str], str]:
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows = [row for row in cells if row[0] != "| where" and not row[0].startswith("| :")]
    return {(row[0].removeprefix("| "), row[1]): " | ".join(row) + "\n" for row in rows}


def _place(name: tuple[str, str]) -> tuple[int, str]:
    stacks = [stack.name for stack in STACKS.values()]
    return (stacks.index(name[0]) if name[0] in stacks else len(stacks), name[0])


def _foot() -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        f"\nObtained with `make faults` (the last row on {day}), Python "
        f"{platform.python_version()}, on {os.cpu_count()} processors ({platform.machine()}) "
        f"with a load average of {os.getloadavg()[2]:.1f} over the 15 minutes before.\n"
    )


def _line(row: Row) -> str:
    errors = ", ".join(f"{count} {code}" for code, count in row.told.errors.most_common())
    found = row.findings
    return (
        f"| {row.where} | {row.fault} | {row.told.requests} | {errors or '-'} "
        f"| {len(found.lost)} | {len(found.doubled)} | {len(found.half_done)} "
        f"| {max(0.0, row.recovered_in):.1f} s | {row.caught_up_in:.1f} s |\n"
    )


HEAD: Final = """\
# Faults

Depot under mixed load (orders with an Idempotency-Key, also asked for again, actions, patches with
and without If-Match, uploads, reads) while something fails. *Lost*: acknowledged, and not there;
the mail, the invoice and the thumbnail that follow from what was acknowledged count, too.
*Doubled*: there more often than asked for. *Half done*: a part is there without the rest, or
something that was refused. All are counted in the database, in the mail that was written and in the
files that are served, once nothing is left to run. *Recovered*: from the end of the fault to the
last request that failed. *Caught up*: from the end of the load until no job was left.

| where | fault | requests | errors that clients saw | lost | doubled | half done | recovered \
| caught up |
| :-- | :-- | --: | :-- | --: | --: | --: | --: | --: |
"""
