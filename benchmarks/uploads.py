"""Prove what `roadworthy.uploads` promises: `python benchmarks/uploads.py`.

Seven parts, each with its tables: `speed` is one large file, `many` fifty at once, both per
second of the server's processor time; `memory` is what large, many, stalled and small
files hold; `refusal` is when a request is refused, and what had been sent and written by
then; `content` is hostile and honest files that others made, `producers` those that the
tests make; `objects` is an object store.

Every peer is a server process of its own: uvicorn with httptools and uvloop, one worker.
The client is another process, and sends prepared bytes over sockets of 127.0.0.1.

`--part speed` runs one of them (again, for several) and replaces its section in
results/uploads.md; `--short` takes small numbers, to see that all of it works, and writes
nothing. `--corpora FOLDER` (again, for several) names the files of `content`; by default,
those that UPLOAD_CORPORA lists, separated by colons.

`python benchmarks/uploads.py run FUNCTION WORDS` is what it runs as processes.
"""

import argparse
import importlib
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import _report
from _jobs import common

RESULTS = Path(__file__).parent / "results" / "uploads.md"
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What the parts are given."""

    folder: Path
    corpora: list[Path]
    short: bool


def speeding(run: Run) -> str:
    """## `speed`: one file of 512 MiB

    A multipart body with one file of bytes without a pattern, sent with `sendfile` as fast as
    it is taken. The figure is the file's size by utime and stime of the server process,
    all its threads; the median of rounds in which all peers take turns, and of the ratios
    within each round. Files lie on one file system, and are deleted after each round.

    The limit is `request.stream()` in a FastAPI route: each piece goes to `sha256.update` and
    `os.write` as it comes, in the event loop, with no thread, no parser and no batches
    (gathering 256 KiB for one `writev` was measured, and is no faster). It blocks the loop.
    What it writes is the body with its framing. Ours parses it, tells the type by the first
    bytes, counts, hashes and writes in a thread, syncs the file and its folder, and renames. The
    limit with fsync is the bound of what is durable: the goal, 0.80, is by it. FastAPI's
    and Litestar's handlers loop over `await file.read(1 MiB)`, hash and write, and sync nothing.
    """
    from _uploads import speed

    size, rounds = (64 * MIB, 3) if run.short else (512 * MIB, 7)
    variants = ("variant: batches", "variant: only receive") if os.environ.get("VARIANTS") else ()
    first = speed.large(run.folder, size=size, rounds=rounds, extra=variants)
    second = speed.inspected(run.folder, size=size, rounds=1 if run.short else 2)
    return f"{first}\n\nWhat the inspectors of types cost that may be so large:\n\n{second}"


def crowding(run: Run) -> str:
    """## `many`: 50 uploads at once, and an unrelated GET

    50 connections send 16 MiB each at 4 MiB/s, 64 KiB at a time, so that the whole takes 4 s
    where the server keeps up. The processor time is that of rounds with nothing else to do;
    in rounds of their own, another process asks `GET /ping` 200 times a second, and a GET
    that had to wait for the one before counts that wait. The server has one core, the
    clients share the other. The goals were 0.85 of the limit with fsync, 2.5 times
    FastAPI, and a p99 of 10 ms.
    """
    from _uploads import speed

    if run.short:
        return speed.many(run.folder, size=2 * MIB, times=50, rate=2 * MIB, rounds=1)
    return speed.many(run.folder, size=16 * MIB, times=50, rate=4 * MIB, rounds=3)


def remembering(run: Run) -> str:
    """## `memory`: what uploads hold

    Resident memory of the server process, above what it held before. Uploads that stall have sent
    100 KiB of 64 MiB and then nothing. Of what they hold, much is free: malloc keeps it for
    the next ones. *In use* is the same where malloc gives back what is larger than 32 KiB
    (`MALLOC_MMAP_THRESHOLD_`), in a run of its own. The goals were 2 MiB more for 512 MiB than for
    64 MiB, 16 MiB for 50 uploads, 32 MiB for 1,000 files, and 64 KiB for each that stalls.
    """
    from _uploads import memory

    return memory.prove(run.folder, short=run.short)


def refusing(run: Run) -> str:
    """## `refusal`: when, and at what price"""
    from _uploads import refusal

    text = refusal.prove(run.folder, short=run.short)
    return f"{text}\n\n{_of_another('refusals', 'refusals_table')}"


def judging(run: Run) -> str:
    """## `content`: files that others made"""
    return _of_another("content", "content_table", run.corpora, run.folder)


def producing(run: Run) -> str:
    """## `producers`: files of the programs that people use

    The tests make them, with no network: `tests/support/producers.py` has the list, and
    `_uploads/producers.py` that of three more, which `make bench` installs. All are
    honest. A polyglot is one of them with another file after it: a ZIP, a PDF, or a script. Those
    are the simplest kind; what Mitra and Corkami make is in `content`, which has these files, too.
    """
    return _of_another("content", "producers_table", run.folder)


def storing(run: Run) -> str:
    """## `objects`: an object store"""
    return _of_another("objects", "objects_table")


def _of_another(module: str, function: str, *words: object) -> str:
    """Return a table of markdown lines, or why it is not there."""
    try:
        lines: list[str] = getattr(importlib.import_module(f"_uploads.{module}"), function)(*words)
    except Exception as error:  # whatever is missing, the other parts are to be seen
        return f"Not measured: {type(error).__name__}: {str(error)[:200]}"
    return "\n".join(lines)


Part = Callable[[Run], str]
PARTS: dict[str, Part] = {
    "speed": speeding,
    "many": crowding,
    "memory": remembering,
    "refusal": refusing,
    "content": judging,
    "producers": producing,
    "objects": storing,
}


# --- the report -----------------------------------------------------------------------


def main(chosen: list[str], corpora: list[Path], *, short: bool) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="rw_bench_bodies_"))
    run = Run(folder, corpora, short)
    try:
        for name in chosen:
            text = section(PARTS[name], run)
            print(text, flush=True)
            if not short:
                _report.write(RESULTS, "Uploads", PARTS, {name: text})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"All of it took {time.monotonic() - began:.0f} s.", file=sys.stderr)


def section(part: Part, run: Run) -> str:
    head, _, text = (part.__doc__ or "").partition("\n")
    prose = "\n".join(line.strip() for line in text.strip().splitlines())
    return "\n\n".join(filter(None, (head, prose, part(run), obtained()))) + "\n"


def obtained() -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    names = ("uvicorn", "fastapi", "python-multipart", "litestar")
    versions = ", ".join(f"{name} {common.version(name) or 'missing'}" for name in names)
    return (
        f"Obtained on {day} with `python benchmarks/uploads.py`: {common.machine()}, "
        f"{versions}, on {platform.machine()}."
    )


def run_as_process(function: str, *words: str) -> None:
    module, _, name = function.rpartition(".")
    getattr(importlib.import_module(f"_uploads.{module}"), name)(*words)


def command() -> argparse.Namespace:
    parser = _report.parser(__doc__, PARTS)
    parser.add_argument("--corpora", action="append", type=Path, metavar="FOLDER")
    return parser.parse_args()


def corpora_of(asked: argparse.Namespace) -> list[Path]:
    listed = filter(None, os.environ.get("UPLOAD_CORPORA", "").split(":"))
    return asked.corpora or [Path(folder) for folder in listed]


if __name__ == "__main__":
    asked = command()
    if asked.words:
        run_as_process(*asked.words[1:])
    else:
        main(asked.part or list(PARTS), corpora_of(asked), short=asked.short)
