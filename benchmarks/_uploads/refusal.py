"""Refusals: how much had been sent and written when the answer came, and how long it took."""

import select
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from _jobs.common import table

from _uploads import client
from _uploads.client import head, part_head, response
from _uploads.peers import FASTAPI, LIMITED, LITESTAR, MIB, OURS
from _uploads.service import KIB, Failed, Service

PEERS = (OURS, FASTAPI, LITESTAR)
STEP = 512
PATIENCE = 0.05
"""Seconds that a client gives for an answer before it sends more."""
BLOCK = b"x" * (64 * KIB)


def prove(_: Path, *, short: bool) -> str:
    size, rounds = (16 * MIB, 5) if short else (256 * MIB, 20)
    questions: dict[str, Callable[[Service], list[str]]] = {
        f"`Content-Length` of {size // MIB} MiB where 5 MiB are taken": lambda service: _by_header(
            service, "/limited", size, rounds
        ),
        f"401 for {size // MIB} MiB": lambda service: _by_header(service, "/private", size, rounds),
        "401 for `Expect: 100-continue`": lambda service: _expecting(service, size),
        "a file that is not what is taken": _by_type,
    }
    rows = []
    for peer in PEERS:
        with Service(peer) as service:
            service.temporary.joinpath("warm").touch()
            client.send(service, client.body(service.temporary / "warm", client.blob(MIB)))
            for question, ask in questions.items():
                rows.append([question, peer, *_attempt(ask, service)])
    rows.sort(key=lambda row: list(questions).index(row[0]))
    return table(
        ["asked", "peer", "answer", "ms", "body bytes sent by then", "written to disk"], rows
    )


def _attempt(ask: Callable[[Service], list[str]], service: Service) -> list[str]:
    try:
        return ask(service)
    except (Failed, OSError) as failure:
        return [str(failure)[:80] or type(failure).__name__, "", "", ""]
    finally:
        service.empty()


def _by_header(service: Service, target: str, size: int, rounds: int) -> list[str]:
    """Send the headers alone and wait; whoever is silent then gets its body."""
    written, times, sent, status = service.written(), list[float](), 0, 0
    for _ in range(rounds):
        with service.connect() as connection:
            began = time.perf_counter()
            connection.sendall(head(size, target))
            if not _answers(connection, PATIENCE):
                sent = _send_body(connection, size)
                rounds = 1
            status, _ = response(connection)
            times.append(1000 * (time.perf_counter() - began))
        if rounds == 1:
            break
    return [str(status), f"{statistics.median(times):.1f}", f"{sent:,}", _since(service, written)]


def _send_body(connection: socket.socket, size: int) -> int:
    """Send until there is an answer; return how much of the body that was."""
    start = part_head() + b"BLOB"
    end = b"\r\n--%s--\r\n" % client.BOUNDARY
    connection.sendall(start)
    sent, most = len(start), size - len(end)
    while sent < most and not _answers(connection, 0):
        block = BLOCK[: most - sent]
        connection.sendall(block)
        sent += len(block)
    if sent == most and not _answers(connection, 0):
        connection.sendall(end)
        sent += len(end)
    return sent


def _expecting(service: Service, size: int) -> list[str]:
    written, began = service.written(), time.perf_counter()
    with service.connect() as connection:
        connection.sendall(head(size, "/private", expect=True))
        first = connection.recv(65536)
        sent = 0
        if first.startswith(b"HTTP/1.1 100"):
            sent = _send_body(connection, size)
            first = first.partition(b"\r\n\r\n")[2] or connection.recv(65536)
        took = 1000 * (time.perf_counter() - began)
        status = first.split(b" ", 2)[1].decode()
        told = f"{status}, after 100" if sent else status
        return [told, f"{took:.1f}", f"{sent:,}", _since(service, written)]


def _by_type(service: Service) -> list[str]:
    """Send an HTML page as a PDF, 512 bytes at a time, and wait after each."""
    start = part_head(filename="report.pdf", media_type="application/pdf")
    page = b"<!DOCTYPE html><script>alert(1)</script>" + b"<p>text</p>" * (LIMITED // 2 // 11)
    end = b"\r\n--%s--\r\n" % client.BOUNDARY
    written = service.written()
    with service.connect() as connection:
        connection.sendall(head(len(start) + len(page) + len(end), "/limited") + start)
        sent, first = 0, 64 * STEP
        while sent < len(page) and not _answers(connection, PATIENCE if sent < first else 0):
            block = page[sent : sent + (STEP if sent < first else len(BLOCK))]
            connection.sendall(block)
            sent += len(block)
        last = time.perf_counter()
        if sent == len(page) and not _answers(connection, 0):
            connection.sendall(end)
        status, _ = response(connection)
        took = 1000 * (time.perf_counter() - last)
    told = f"{sent:,} of the file" if sent < len(page) else f"{sent:,}, all of it"
    return [str(status), f"{took:.1f}", told, _since(service, written)]


def _answers(connection: socket.socket, seconds: float) -> bool:
    return bool(select.select([connection], [], [], seconds)[0])


def _since(service: Service, before: int) -> str:
    return f"{service.written() - before:,}"


__all__ = ["prove"]
