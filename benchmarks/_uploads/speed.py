"""Speed: bytes per second of the server's processor time, one at a time and fifty at once."""

import json
import os
import random
import statistics
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from _jobs.common import percentile, table

from _uploads import client
from _uploads.client import Body, Probe
from _uploads.peers import FASTAPI, LIMIT, LITESTAR, MIB, OURS, SYNCED
from _uploads.service import Failed, Service

SIDE_BY_SIDE = (OURS, SYNCED, LIMIT, FASTAPI, LITESTAR)


@dataclass(slots=True)
class Measured:
    """What one peer needed, round by round."""

    rates: list[float] = field(default_factory=list)  # MiB per second of processor time
    seconds: list[float] = field(default_factory=list)
    failure: str = ""


def cores() -> tuple[int, int]:
    """Return a core for the servers and one for the clients; the same, where there is one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


# --- one large file -------------------------------------------------------------------


def large(folder: Path, *, size: int, rounds: int, extra: tuple[str, ...] = ()) -> str:
    """Send one file to each peer in turns."""
    sent = client.body(folder / "large", client.blob(size))
    names = (*SIDE_BY_SIDE, *extra)
    measured = {name: Measured() for name in names}
    with ExitStack() as stack:
        services = _started(stack, names, measured)
        for turn in range(rounds + 1):
            for service in random.sample(services, len(services)):
                _send_one(service, sent, measured[service.peer], counts=turn > 0)
    sent.path.unlink()
    return _large_table(measured)


def _started(
    stack: ExitStack, names: tuple[str, ...], measured: dict[str, Measured]
) -> list[Service]:
    services = []
    for name in names:
        try:
            services.append(stack.enter_context(Service(name, core=cores()[0])))
        except Failed as failure:
            measured[name].failure = str(failure)
    return services


def _send_one(service: Service, sent: Body, measured: Measured, *, counts: bool) -> None:
    before, began = service.cpu_seconds(), time.perf_counter()
    try:
        told = json.loads(client.send(service, sent))
    except (Failed, OSError) as failure:
        measured.failure = str(failure) or type(failure).__name__
        return
    cost, took = service.cpu_seconds() - before, time.perf_counter() - began
    if sent.sha256 not in told and not service.peer.startswith(("the limit", "variant")):
        measured.failure = "it kept other bytes than were sent"
    if counts:
        measured.rates.append(sent.file_bytes / MIB / cost)
        measured.seconds.append(took)
    service.empty()


def _large_table(measured: dict[str, Measured]) -> str:
    head = ["peer", "MiB per CPU-second", "of the limit with fsync", "of the limit", "s elapsed"]
    rows = []
    for name, one in measured.items():
        if one.failure or not one.rates:
            rows.append([name, one.failure, "", "", ""])
            continue
        figures = [f"{_ratio(one, measured[limit]):.2f}" for limit in (SYNCED, LIMIT)]
        seconds = f"{statistics.median(one.seconds):.2f}"
        rows.append([name, f"{statistics.median(one.rates):.0f}", *figures, seconds])
    return table(head, rows)


def _ratio(one: Measured, other: Measured) -> float:
    if not other.rates:
        return float("nan")
    # Round by round: what slows the machine for a while slows both.
    return statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=False))


# --- what inspectors cost -------------------------------------------------------------


def inspected(folder: Path, *, size: int, rounds: int) -> str:
    """Send large files of types that are inspected throughout, beside one that is not."""
    makers: dict[str, Callable[[Path, int], Iterator[bytes]]] = {
        "a type without an inspector": lambda _, size: client.blob(size),
        "ZIP, stored": _zip,
        "PDF": _pdf,
        "TEXT": _text,
    }
    rows = []
    with Service(OURS, core=cores()[0]) as service:
        first = 0.0
        for kind, maker in makers.items():
            sent = client.body(folder / "inspected", maker(folder, size))
            measured = Measured()
            for turn in range(rounds + 1):
                _send_one(service, sent, measured, counts=turn > 0)
                if measured.failure:
                    break
            sent.path.unlink()
            if measured.failure:
                rows.append([kind, measured.failure, ""])
                continue
            cost = size / MIB / statistics.median(measured.rates)
            first = first or cost
            rows.append([kind, f"{1000 * cost:.0f}", f"{1000 * (cost - first):.0f}"])
    return table([f"{size // MIB} MiB of", "CPU ms", "besides"], rows)


def _zip(folder: Path, size: int) -> Iterator[bytes]:
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(8):
            with archive.open(f"{n}.bin", "w") as entry:
                for piece in client.blob(size // 8):
                    entry.write(piece)
    try:
        yield from _read(path)
    finally:
        path.unlink()


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(MIB):
            yield piece


def _pdf(_: Path, size: int) -> Iterator[bytes]:
    """Yield a PDF of one page, whose picture is as large as is asked."""
    image = size - 2048
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</XObject<</I 4 0 R>>>>>>",
    ]
    told, offsets = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(told))
        told += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    offsets.append(len(told))
    told += (
        b"4 0 obj\n<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray"
        b"/BitsPerComponent 8/Filter/FlateDecode/Length %d>>\nstream\n"
    ) % image
    yield told
    yield from client.blob(image)
    end = b"\nendstream\nendobj\n"
    table_at = len(told) + image + len(end)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    yield end + b"xref\n0 5\n0000000000 65535 f \n" + entries
    yield b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table_at


def _text(_: Path, size: int) -> Iterator[bytes]:
    line = "2026-11-25T02:00:00Z  a line of a log, with an ä here and there, and 100 letters.\n"
    block = line.encode() * 1000
    for _ in range(size // len(block)):
        yield block


# --- many at once ---------------------------------------------------------------------


def many(folder: Path, *, size: int, times: int, rate: float, rounds: int) -> str:
    """Send to each peer in turns, without the unrelated request and then with it."""
    sent = client.body(folder / "paced", client.blob(size))
    measured = {name: Measured() for name in SIDE_BY_SIDE}
    waits: dict[str, list[list[float]]] = {name: [] for name in SIDE_BY_SIDE}
    idle: dict[str, list[float]] = {}
    with ExitStack() as stack:
        services = _started(stack, SIDE_BY_SIDE, measured)
        for service in services:
            _paced(service, sent, measured[service.peer], times=4, rate=rate * 4, counts=False)
            with Probe(service) as alone:
                time.sleep(1)
            idle[service.peer] = alone.times
        for _ in range(rounds):
            for service in random.sample(services, len(services)):
                one = measured[service.peer]
                _paced(service, sent, one, times=times, rate=rate, counts=True)
                with Probe(service) as asked:
                    _paced(service, sent, one, times=times, rate=rate, counts=False)
                waits[service.peer].append(asked.times)
    sent.path.unlink()
    return _many_table(measured, idle, waits)


def _paced(
    service: Service, sent: Body, measured: Measured, *, times: int, rate: float, counts: bool
) -> None:
    before = service.cpu_seconds()
    try:
        took = client.send_paced(service, sent, times=times, rate=rate)
    except (Failed, OSError) as failure:
        measured.failure = str(failure) or type(failure).__name__
        return
    if counts:
        measured.rates.append(times * sent.file_bytes / MIB / (service.cpu_seconds() - before))
        measured.seconds.append(took)
    service.empty()


def _many_table(
    measured: dict[str, Measured], idle: dict[str, list[float]], waits: dict[str, list[list[float]]]
) -> str:
    head = ["peer", "MiB per CPU-second", "of the limit with fsync", "of the limit"]
    head += ["of FastAPI", "s elapsed", "GET p50 ms", "p99 ms", "slowest ms", "idle p50", "p99"]
    rows = []
    for name, one in measured.items():
        if one.failure or not one.rates:
            rows.append([name, one.failure, *[""] * (len(head) - 2)])
            continue
        ratios = [f"{_ratio(one, measured[other]):.2f}" for other in (SYNCED, LIMIT, FASTAPI)]
        seconds = f"{statistics.median(one.seconds):.1f}"
        shares = [_middle(waits[name], share) for share in (0.5, 0.99, 1.0)]
        alone = [f"{1000 * percentile(idle[name], share):.2f}" for share in (0.5, 0.99)]
        rate = f"{statistics.median(one.rates):.0f}"
        rows.append([name, rate, *ratios, seconds, *shares, *alone])
    return table(head, rows)


def _middle(runs: list[list[float]], share: float) -> str:
    return f"{1000 * statistics.median(percentile(run, share) for run in runs):.2f}"
