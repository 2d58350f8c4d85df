"""CONTRACT: Documents, as far as they are archives; what an upload may cost and leave behind."""

import gzip
import hashlib
import os
import signal
import socket
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.sample_files import gzip_bomb, pdf, png, zip_bomb, zip_of

Eventually = Callable[..., Any]
StartDepot = Callable[..., Any]

MiB = 2**20
FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def _post(client: httpx.Client, content: Any, *, name: str = "a.zip") -> httpx.Response:
    return client.post("/archives", files={"file": (name, content, "application/octet-stream")})


def _error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def _stored(data: Path) -> list[Path]:
    return [path for path in (data / "files").rglob("*") if path.is_file()]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (zip_of({"a/b.txt": b"hello" * 100, "c": b""}), "application/zip"),
        (gzip.compress(b"hello" * 1000), "application/gzip"),
    ],
    ids=["zip", "gzip"],
)
def test_an_archive_is_kept_and_comes_back(
    client: httpx.Client, content: bytes, media_type: str
) -> None:
    answer = _post(client, content)

    assert answer.status_code == 201, answer.text
    archive = answer.json()
    assert archive["media_type"] == media_type
    assert archive["sha256"] == hashlib.sha256(content).hexdigest()
    assert (archive["size_bytes"], archive["thumbnail"]) == (len(content), "none")
    assert answer.headers["location"] == f"/archives/{archive['id']}"
    assert "x-job-id" not in answer.headers
    for path in (answer.headers["location"], f"/documents/{archive['id']}"):
        assert client.get(path).json() == archive
        assert client.head(path).status_code == 200
        assert client.get(f"{path}/content").content == content
        part = client.get(f"{path}/content", headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, content[1:4])
        assert client.head(f"{path}/content").headers["content-length"] == str(len(content))
    assert _error(client.get(f"/documents/{archive['id']}/thumbnail")) == (404, "NO_THUMBNAIL")


@pytest.mark.parametrize("path", ["/archives", "/documents"])
def test_an_archive_is_gone_once_it_is_deleted(client: httpx.Client, path: str) -> None:
    path = f"{path}/{_post(client, zip_of({'a': b'b'})).json()['id']}"

    assert client.delete(path).status_code == 204
    again = [client.delete(path), client.get(path), client.get(f"{path}/content")]
    assert [_error(answer) for answer in again] == [(404, "DOCUMENT_NOT_FOUND")] * 3


def test_a_document_is_no_archive(client: httpx.Client) -> None:
    added = client.post("/documents", files={"file": ("a.png", png(), "image/png")})
    path = f"/archives/{added.json()['id']}"

    answers = [client.get(path), client.get(f"{path}/content"), client.delete(path)]

    assert [_error(answer) for answer in answers] == [(404, "DOCUMENT_NOT_FOUND")] * 3
    assert client.get(added.headers["location"]).status_code == 200


@pytest.mark.parametrize("content", [png(), pdf(), b"hello"], ids=["png", "pdf", "text"])
def test_what_is_no_archive_is_refused(client: httpx.Client, content: bytes) -> None:
    assert _error(_post(client, content)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.sampled
@pytest.mark.parametrize(
    "content",
    [
        zip_of({"../../etc/cron.d/x": b"x"}),
        zip_of({"/etc/passwd": b"x"}),
        zip_of({"a\\..\\..\\b": b"x"}),
        zip_of({"a": b"b"}) + b"<?php ?>",
        b"<?php ?>" + zip_of({"a": b"b"}),
        zip_of({"a": b"b" * 1000})[:-30],
        gzip.compress(b"hello" * 1000)[:-4],
        gzip.compress(b"hello") + b"<html>",
        zip_bomb,
        gzip_bomb,
    ],
    ids=[
        *("dots", "absolute", "backslashes", "zip-and-more", "more-and-zip", "zip-cut"),
        *("gzip-cut", "gzip-and-more", "zip-bomb", "gzip-bomb"),
    ],
)
def test_an_archive_that_is_broken_or_dangerous_is_rejected(
    client: httpx.Client, content: bytes | Callable[[], bytes]
) -> None:
    """U7."""
    if callable(content):  # a bomb takes seconds to make
        content = content()
    # One that starts with something else is not even taken for an archive.
    wanted = (415, "UNSUPPORTED_MEDIA_TYPE") if content[:1] == b"<" else (422, "FILE_REJECTED")

    assert _error(_post(client, content)) == wanted


def test_the_limit_is_that_of_the_environment(start_briefly: StartDepot, tmp_path: Path) -> None:
    depot = start_briefly(
        DEPOT_DATA_DIR=str(tmp_path),
        DEPOT_ARCHIVES__MAX_BYTES=str(2 * MiB),
        DEPOT_UPLOADS__MAX_BYTES="1000",
        DEPOT_BODY__MAX_BYTES="100",
    )
    exact = _zip_with(2 * MiB)
    with depot.client() as client:
        answers = [_post(client, content) for content in (exact, _zip_with(2 * MiB + 1))]
        image = client.post("/documents", files={"file": ("a.png", png(noise=3000), "image/png")})

    assert [answer.status_code for answer in answers] == [201, 413]
    assert _error(image) == (413, "PAYLOAD_TOO_LARGE")
    assert [path.read_bytes() for path in _stored(tmp_path)] == [exact]


def _zip_with(size: int) -> bytes:
    """A ZIP of so many bytes."""
    import io

    def make(count: int) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a", bytes(count))
        return file.getvalue()

    return make(size - len(make(0)))


@pytest.mark.timeout(240)
def test_memory_does_not_grow_with_an_archive(start_briefly: StartDepot, tmp_path: Path) -> None:
    """U1."""
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path))
    large = tmp_path / "large.zip"
    _write_zip(large, 300 * MiB)
    with depot.client() as client:
        _post(client, zip_of({"a": b"b"}))  # what the first one loads is not counted
        before = _memory(depot.process.pid)
        peak = _Peak(depot.process.pid)
        with large.open("rb") as file:
            added = client.post("/archives", files={"file": ("large.zip", file)}, timeout=120)
        uploaded = peak.stop()
        peak = _Peak(depot.process.pid)
        received = 0
        with client.stream("GET", added.headers["location"] + "/content", timeout=120) as answer:
            for piece in answer.iter_raw():
                received += len(piece)
        downloaded = peak.stop()

    assert added.status_code == 201, added.text
    assert received == large.stat().st_size
    assert uploaded - before < 24 * MiB
    assert downloaded - before < 24 * MiB


def _write_zip(path: Path, size: int) -> None:
    with zipfile.ZipFile(path, "w") as archive, archive.open("a", "w") as member:
        for _ in range(size // MiB):
            member.write(os.urandom(MiB))


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class _Peak:
    """The most memory that a process has had while it was watched."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most, self.going = pid, 0, True
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self) -> None:
        while self.going:
            self.most = max(self.most, _memory(self.pid))
            time.sleep(0.02)

    def stop(self) -> int:
        self.going = False
        self.thread.join()
        return self.most


def _begin(depot: Any, content: bytes, *, path: str = "/archives") -> socket.socket:
    """Send the beginning of a file, and keep the connection."""
    parts = urlsplit(depot.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
    connection.sendall(f"{head}Content-Length: {1000 * MiB}\r\n\r\n".encode() + PART + content)
    return connection


def _half(tmp_path: Path) -> bytes:
    _write_zip(tmp_path / "whole.zip", 8 * MiB)
    return (tmp_path / "whole.zip").read_bytes()[: 4 * MiB]


def test_a_server_that_is_killed_in_the_middle_of_an_upload_leaves_nothing(
    start_briefly: StartDepot, tmp_path: Path, eventually: Eventually
) -> None:
    data = tmp_path / "data"
    depot = start_briefly(DEPOT_DATA_DIR=str(data))
    with _begin(depot, _half(tmp_path)):
        eventually(lambda: sum(path.stat().st_size for path in _stored(data)) > MiB)
        depot.stop(signal.SIGKILL)
    assert _stored(data)  # else the next line proves nothing

    again = start_briefly(DEPOT_DATA_DIR=str(data))

    assert _stored(data) == []
    with again.client() as client:
        assert _post(client, zip_of({"a": b"b"})).status_code == 201


def test_an_upload_that_is_broken_off_leaves_nothing(
    start_briefly: StartDepot, tmp_path: Path, eventually: Eventually
) -> None:
    """U9."""
    data = tmp_path / "data"
    depot = start_briefly(DEPOT_DATA_DIR=str(data))
    with _begin(depot, _half(tmp_path)):
        eventually(lambda: _stored(data))

    eventually(lambda: _stored(data) == [])
    eventually(lambda: "a client left after" in depot.log)


def test_what_is_refused_leaves_nothing(start_briefly: StartDepot, tmp_path: Path) -> None:
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_ARCHIVES__MAX_BYTES=str(MiB))
    with depot.client() as client:
        answers = [
            _post(client, zip_of({"../a": b"b"})),
            _post(client, _zip_with(MiB) + b"x" * 100),
            _post(client, zip_of({"a": os.urandom(200_000)})[:-30]),
            client.post("/archives", files={"other": zip_of({"a": b"b"})}),
            client.post(
                "/archives",
                files=[("file", ("a", zip_of({"a": b"b"}))), ("file", ("b", zip_of({"a": b"b"})))],
            ),
        ]

    assert [answer.status_code for answer in answers] == [422, 413, 422, 422, 422]
    assert _stored(tmp_path) == []
