"""An object store: what a client of it costs, and what it leaves there when it is cancelled."""

import asyncio
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from _jobs.common import Failed, peak_rss, table, version

__all__ = ["cancel", "objects_table", "put"]

ROOT: Final = Path(__file__).parent.parent.parent
MIB: Final = 1024 * 1024
PIECE: Final = 64 * 1024
BATCH: Final = 4
"""Pieces of what a server reads that an upload gathers for one hop."""
BUCKET: Final = "ready"
CANCELLED_MIB: Final = 64
MIB_A_SECOND: Final = 160
ARE_GONE: Final = 3.0
"""Seconds after which what a cancelled upload still does in the background is over."""

OURS, OBSTORE, AIOBOTO3 = "**roadworthy, `Objects`**", "obstore, `put_async`", "aioboto3"
UNSIGNED = "the same, `unsigned_payload`"
PEERS: Final = (OURS, UNSIGNED, OBSTORE, AIOBOTO3)


def objects_table() -> list[str]:
    """Put a file into SeaweedFS, by clients that are a process each, and cancel others.

    A client has the pieces of 64 KiB that a server reads, of a file without a pattern, computes its
    SHA-256, and sends it over plain HTTP; the server of the store is of its own, for each round.
    Ours gets batches of 256 KiB and judges them in a thread, as an upload does; obstore gets the
    same pieces from a generator, aioboto3's `upload_fileobj` asks for 8 MiB of them at a time;
    both hash in the event loop, which is cheaper, and both have their defaults. Over plain HTTP
    all of them sign what they send, which is a second SHA-256. Over HTTPS aioboto3 does not, and
    ours does not with `config={"unsigned_payload": True}`, which has a row of its own. The figure
    is the file's size by utime and stime of the client's process. Clients take turns; the medians
    are those of the rounds, and of the ratios within each.

    A cancelled upload is a task of 64 MiB that come at 160 MiB/s, cancelled at moments that are
    spread over all of it; counted is what `ListMultipartUploads` has 3 seconds after the last.
    """
    short = "--short" in sys.argv
    sys.path.append(str(ROOT / "tests"))
    size, rounds, times = (32, 2, 8) if short else (256, 5, 60)
    puts = _puts(size, rounds)
    return [
        *_prose(),
        "",
        *_speeds(puts, size),
        "",
        *_orphans(times),
    ]


def _prose() -> list[str]:
    text = (objects_table.__doc__ or "").partition("\n")[2].strip()
    return [line.strip() for line in text.splitlines()]


# --- the clients ----------------------------------------------------------------------


Source = Callable[[], AsyncIterator[bytes]]


def put(peer: str, url: str, key: str, megabytes: str) -> None:
    """Put one file, and print what it cost: this is a process of its own."""
    block = os.urandom(8 * MIB)

    async def source(size: int) -> AsyncIterator[bytes]:
        for at in range(0, size, PIECE):
            yield block[at % len(block) : at % len(block) + PIECE]

    async def run() -> dict[str, Any]:
        await CLIENTS[peer](url, f"{key}-warm", lambda: source(MIB))
        cpu, began, held = time.process_time(), time.perf_counter(), peak_rss(os.getpid())
        await CLIENTS[peer](url, key, lambda: source(int(megabytes) * MIB))
        return {
            "cpu": time.process_time() - cpu,
            "elapsed": time.perf_counter() - began,
            "grown": peak_rss(os.getpid()) - held,
            "version": version("aioboto3" if peer == AIOBOTO3 else "obstore"),
        }

    _report(asyncio.run(run()))


def cancel(peer: str, url: str, count: str) -> None:
    """Cancel many uploads, each at another moment, and print how many were not done by then."""
    piece = os.urandom(PIECE)

    async def source() -> AsyncIterator[bytes]:
        began = time.perf_counter()
        for number in range(CANCELLED_MIB * MIB // PIECE):
            early = number * PIECE / MIB / MIB_A_SECOND - (time.perf_counter() - began)
            if early > 0:
                await asyncio.sleep(early)
            yield piece

    async def run() -> dict[str, int]:
        cancelled = 0
        for number in range(int(count)):
            task = asyncio.ensure_future(CLIENTS[peer](url, f"cancelled/{number}", source))
            await asyncio.sleep(CANCELLED_MIB / MIB_A_SECOND * number / int(count))
            cancelled += task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.sleep(ARE_GONE)
        return {"cancelled": cancelled}

    _report(asyncio.run(run()))


def _report(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)
    os._exit(0)  # obstore's threads may be about to ask for an interpreter that is gone


async def roadworthy(url: str, key: str, source: Source, **options: bool) -> None:
    from roadworthy.uploads.stores.objects import Objects

    digest = hashlib.sha256()

    def judge(batch: Any) -> None:
        for data in batch:
            digest.update(data)

    config: dict[str, Any] = {"endpoint": url, "access_key_id": "any", "secret_access_key": "any"}
    config |= {"region": "us-east-1", **options}
    store = Objects(f"s3://{BUCKET}", config=config, allow_http=True)
    async with (
        store,
        store.writing(
            key, media_type="application/octet-stream", content_disposition="attachment"
        ) as file,
    ):
        batch: list[memoryview] = []
        async for piece in source():
            batch.append(memoryview(piece))
            if len(batch) == BATCH:
                await file.write(batch, judge)
                batch = []
        await file.write(batch, judge)
        await file.commit()


async def plain_obstore(url: str, key: str, source: Source) -> None:
    import obstore
    from obstore.store import S3Store

    store: Any = S3Store(
        BUCKET,
        endpoint=url,
        access_key_id="any",
        secret_access_key="any",
        region="us-east-1",
        client_options={"allow_http": True},
    )
    await obstore.put_async(store, key, _hashed(source), use_multipart=True)


async def _hashed(source: Source) -> AsyncIterator[bytes]:
    digest = hashlib.sha256()
    async for piece in source():
        digest.update(piece)
        yield piece


async def boto(url: str, key: str, source: Source) -> None:
    import aioboto3

    session: Any = aioboto3.Session(
        aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1"
    )
    async with session.client("s3", endpoint_url=url) as client:
        await client.upload_fileobj(_File(source), BUCKET, key)


class _File:
    """What aioboto3 reads from, as from an `UploadFile`."""

    def __init__(self, source: Source) -> None:
        self._pieces = _hashed(source)

    async def read(self, count: int) -> bytes:
        gathered = bytearray()
        while len(gathered) < count:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            gathered += piece  # pieces are a divisor of what is asked for
        return bytes(gathered)


CLIENTS: dict[str, Callable[[str, str, Source], Awaitable[None]]] = {
    OURS: roadworthy,
    UNSIGNED: partial(roadworthy, unsigned_payload=True),
    OBSTORE: plain_obstore,
    AIOBOTO3: boto,
}


Runs = list[dict[str, Any]] | str
"""What a client reported of each round, or why it did not."""


# --- measuring ------------------------------------------------------------------------


def _run(function: str, peer: str, *words: object) -> dict[str, Any]:
    """Run a client to its end.

    Raises:
        Failed: It is not installed, or did not do it.
    """
    # Its newest release cannot be installed beside what the tests need.
    python = os.environ.get("AIOBOTO3_PYTHON", sys.executable) if peer == AIOBOTO3 else None
    script = str(ROOT / "benchmarks" / "uploads.py")
    command = [python or sys.executable, script, "run", f"objects.{function}", peer]
    done = subprocess.run(
        [*command, *map(str, words)], check=False, capture_output=True, timeout=300
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise Failed(lines[-1][:120] if lines else f"exit {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _puts(size: int, rounds: int) -> dict[str, Runs]:
    from support.objects import object_server

    found: dict[str, Runs] = {peer: [] for peer in PEERS}
    for turn in range(rounds):
        with object_server() as url:
            for peer in _turned(turn):
                runs = found[peer]
                if isinstance(runs, str):
                    continue
                try:
                    runs.append(_run("put", peer, url, f"put/{PEERS.index(peer)}", size))
                except Failed as failure:
                    found[peer] = str(failure)
    return found


def _turned(turn: int) -> Iterator[str]:
    first = turn % len(PEERS)
    yield from (*PEERS[first:], *PEERS[:first])


def _speeds(puts: dict[str, Runs], size: int) -> list[str]:
    head = [f"{size} MiB by", "version of it", "MiB per CPU-second", "of aioboto3", "of obstore"]
    head += ["s elapsed", "MiB more held"]
    rows = []
    for peer, runs in puts.items():
        if isinstance(runs, str):
            rows.append([peer, "", runs, *[""] * (len(head) - 3)])
            continue
        ratios = [_ratio(runs, puts[other]) for other in (AIOBOTO3, OBSTORE)]
        rate = f"{size / statistics.median(run['cpu'] for run in runs):.0f}"
        elapsed = f"{statistics.median(run['elapsed'] for run in runs):.2f}"
        grown = f"{statistics.median(run['grown'] for run in runs):.0f}"
        told = str(runs[-1]["version"])
        rows.append([peer, told if peer in {OBSTORE, AIOBOTO3} else "-", rate, *ratios])
        rows[-1] += [elapsed, grown]
    return [table(head, rows)]


def _ratio(runs: list[dict[str, Any]], others: Runs) -> str:
    if isinstance(others, str):
        return "-"
    pairs = zip(runs, others, strict=True)
    return f"{statistics.median(other['cpu'] / run['cpu'] for run, other in pairs):.2f}"


def _orphans(times: int) -> list[str]:
    from support.objects import object_server

    rows = []
    for peer in (OURS, OBSTORE, AIOBOTO3):
        with object_server() as url:
            try:
                done = _run("cancel", peer, url, times)
                unfinished, files = _listed(url, "uploads", "Upload"), _listed(url, "", "Contents")
                left = [str(unfinished), str(files)]
                rows.append([peer, f"{done['cancelled']:.0f}", *left])
            except Failed as failure:
                rows.append([peer, str(failure), "", ""])
    return [table(["client", "cancelled", "unfinished uploads left", "files there"], rows)]


def _listed(url: str, what: str, element: str) -> int:
    with urllib.request.urlopen(f"{url}/{BUCKET}?{what}", timeout=10) as answer:
        return int(answer.read().decode().count(f"<{element}>"))
