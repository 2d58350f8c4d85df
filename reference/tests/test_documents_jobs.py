"""CONTRACT: what the background owes to documents: thumbnails, and the end of files."""

import io
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from depot.documents.drawing import CannotDraw, draw
from support.sample_files import jpeg, pdf, png, zip_of
from support.sampling import mostly_on

Eventually = Callable[..., Any]
StartDepot = Callable[..., Any]

HOURS = timedelta(hours=1).total_seconds()

mostly_on_sqlite = mostly_on("sqlite", fixture="own_database_url")
mostly_on_postgresql = mostly_on("postgresql", fixture="own_database_url")


def _post(client: httpx.Client, content: bytes) -> httpx.Response:
    answer = client.post("/documents", files={"file": ("a", content, "application/octet-stream")})
    assert answer.status_code == 201, answer.text
    return answer


def _stored(data: Path) -> list[Path]:
    return [path for path in (data / "files").rglob("*") if path.is_file()]


def _is_thumbnail(path: Path) -> bool:
    return "thumbnails" in path.parts


def _error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def _settings(url: str, data: Path, **more: str) -> dict[str, str]:
    return {"DEPOT_DATABASE__URL": url, "DEPOT_DATA_DIR": str(data), **more}


@mostly_on_postgresql
def test_until_a_worker_has_made_it_the_thumbnail_is_not_ready(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    settings = _settings(own_database_url, tmp_path)
    depot = start_briefly(DEPOT_JOBS__RUN_IN_SERVER="false", **settings)
    with depot.client() as client:
        added = _post(client, png())
        path = added.headers["location"] + "/thumbnail"
        early = client.get(path)
        start_briefly(command="worker", **settings)
        ready = eventually(lambda: client.get(path), lambda answer: answer.status_code == 200)

    assert _error(early) == (404, "NOT_READY")
    assert int(early.headers["retry-after"]) >= 1
    assert Image.open(io.BytesIO(ready.content)).size == (256, 171)
    eventually(lambda: len(_stored(tmp_path)) == 2)  # what was unfinished goes a moment later


def _undrawable() -> bytes:
    """A PNG whose chunks are in order, and whose pixels are nonsense."""
    image = png(64, 64)
    at = image.index(b"IDAT")
    length = int.from_bytes(image[at - 4 : at], "big")
    body = b"IDAT" + b"\x78\x9c" + b"\xff" * (length - 2)
    chunk = image[at - 4 : at] + body + zlib.crc32(body).to_bytes(4, "big")
    return image[: at - 4] + chunk + image[at + 4 + length + 4 :]


def test_a_thumbnail_that_cannot_be_made_says_so_without_asking_to_wait(
    client: httpx.Client, eventually: Eventually
) -> None:
    added = client.post("/documents", files={"file": ("a.png", _undrawable(), "image/png")})
    if added.status_code == 422:
        pytest.skip("such a file is already refused")
    path = added.headers["location"]

    answer = eventually(
        lambda: client.get(f"{path}/thumbnail"),
        lambda answer: answer.headers["x-error-code"] != "NOT_READY",
    )

    assert _error(answer) == (404, "THUMBNAIL_FAILED")
    assert "retry-after" not in answer.headers
    job = client.get(f"/jobs/{added.headers['x-job-id']}").json()
    assert (job["status"], job["attempts"]) == ("dead", 1)
    assert client.get(path).json()["thumbnail"] == "failed"
    assert client.get(f"{path}/content").content == _undrawable()
    assert client.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (_undrawable(), "image/png"),
        (pdf()[:200], "application/pdf"),
        (b"", "application/pdf"),
        (jpeg()[:300], "image/jpeg"),
    ],
)
def test_what_cannot_be_drawn_is_told_at_once(content: bytes, media_type: str) -> None:
    with pytest.raises(CannotDraw):
        draw(content, media_type)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (255, 255)])
def test_an_image_of_any_shape_has_a_thumbnail(size: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(draw(png(*size), "image/png")))

    assert image.format == "PNG"
    assert max(image.size) <= 256
    assert min(image.size) >= 1


@mostly_on_postgresql
def test_after_a_delete_and_a_crash_the_files_go_all_the_same(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    settings = _settings(own_database_url, tmp_path)
    depot = start_briefly(**settings)
    with depot.client() as client:
        path = _post(client, png()).headers["location"]
        eventually(lambda: client.get(path).json()["thumbnail"] == "ready")
        other = _post(client, jpeg()).headers["location"]
        eventually(lambda: client.get(other).json()["thumbnail"] == "ready")
        eventually(lambda: len(_stored(tmp_path)) == 4)
        deleted = client.delete(path)
    depot.stop(signal.SIGKILL)
    assert deleted.status_code == 204
    assert len(_stored(tmp_path)) == 4

    start_briefly(command="worker", **settings)

    eventually(lambda: len(_stored(tmp_path)) == 2)


@mostly_on_sqlite
def test_a_document_that_is_deleted_while_it_is_drawn_leaves_nothing(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    depot = start_briefly(**_settings(own_database_url, tmp_path))
    with depot.client() as client:
        added = _post(client, png(6000, 6000))
        job = f"/jobs/{added.headers['x-job-id']}"
        eventually(lambda: client.get(job).json()["status"] == "running")
        assert client.delete(added.headers["location"]).status_code == 204
        done = eventually(lambda: client.get(job).json(), lambda job: job["finished_at"])

    assert done["status"] == "succeeded"
    eventually(lambda: _stored(tmp_path) == [])


def test_whoever_has_found_a_document_gets_it_though_it_is_deleted_meanwhile(
    client: httpx.Client, depot: Any
) -> None:
    statuses: list[int] = []

    def read(path: str) -> None:
        with depot.client() as reader:
            while not statuses or statuses[-1] == 200:
                statuses.append(reader.get(path).status_code)

    for _ in range(10):
        statuses.clear()
        path = _post(client, png()).headers["location"]
        reader = threading.Thread(target=read, args=(f"{path}/content",))
        reader.start()
        client.delete(path)
        reader.join(timeout=30)
        assert statuses[-1] == 404


@mostly_on_sqlite
def test_a_worker_that_is_killed_while_it_draws_makes_one_thumbnail_in_the_end(
    start_briefly: StartDepot, tmp_path: Path, own_database_url: str, eventually: Eventually
) -> None:
    settings = _settings(own_database_url, tmp_path)
    depot = start_briefly(DEPOT_JOBS__RUN_IN_SERVER="false", **settings)
    with depot.client() as client:
        paths = [_post(client, png(1500 + n, 1500)).headers["location"] for n in range(6)]
        worker = start_briefly(command="worker", **settings)
        eventually(lambda: [path for path in _stored(tmp_path) if _is_thumbnail(path)])
        worker.stop(signal.SIGKILL)
        start_briefly(command="worker", **settings)
        for path in paths:
            eventually(
                lambda path=path: client.get(path).json()["thumbnail"] == "ready", seconds=60
            )
            assert client.get(f"{path}/thumbnail").status_code == 200


@mostly_on_sqlite
def test_files_that_no_row_names_are_swept_once_they_are_old(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    settings = _settings(own_database_url, tmp_path)
    depot = start_briefly(**settings)
    with depot.client() as client:
        path = _post(client, png()).headers["location"]
        client.post("/archives", files={"file": ("a.zip", zip_of({"a": b"b"}))})
        eventually(lambda: client.get(path).json()["thumbnail"] == "ready")
        depot.stop()
    named = _stored(tmp_path)
    orphans = [_beside(file, "0" * 32) for file in named]
    foreign = tmp_path / "files" / "somebody" / "else"
    foreign.parent.mkdir()
    foreign.write_bytes(b"theirs")
    for file in (*named, *orphans, foreign):
        _age(file, 2 * HOURS)
    young = _beside(named[0], "1" * 32)

    start_briefly("--workers", "2", **settings)

    eventually(lambda: not [orphan for orphan in orphans if orphan.exists()])
    assert sorted(_stored(tmp_path)) == sorted([*named, foreign, young])


def _beside(file: Path, name: str) -> Path:
    """Write an orphan that looks as if it were ours."""
    orphan = file.with_name(name)
    orphan.write_bytes(b"nobody's")
    return orphan


def _age(file: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(file, (then, then))
