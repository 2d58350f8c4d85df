"""CONTRACT: `DEPOT_FILES__URL=s3://…`: what works with files on a disk works with objects."""

import base64
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from support.objects import object_server
from support.sample_files import png, zip_of

StartDepot = Callable[..., Any]
RunDepot = Callable[..., subprocess.CompletedProcess[str]]
Eventually = Callable[..., Any]

LARGE = zip_of({"a": os.urandom(20 * 2**20)})
TUS = {"Tus-Resumable": "1.0.0"}


def _settings(url: str, prefix: str) -> dict[str, str]:
    return {
        "DEPOT_FILES__URL": f"s3://ready/{prefix}",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture(scope="module")
def prefix() -> str:
    return uuid4().hex[:12]


@pytest.fixture(scope="module")
def depot(
    start_depot: StartDepot,
    object_url: str,
    prefix: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    data = str(tmp_path_factory.mktemp("data"))
    depot = start_depot(DEPOT_DATA_DIR=data, **_settings(object_url, prefix))
    yield depot
    depot.stop()
    assert not Path(data, "files").exists()


@pytest.fixture
def kept(object_url: str, prefix: str) -> Callable[[], str]:
    """What the store lists under the prefix."""
    return lambda: httpx.get(f"{object_url}/ready", params={"prefix": f"{prefix}/"}).text


def test_a_document_is_kept_served_and_shown_small(
    client: httpx.Client, eventually: Eventually
) -> None:
    added = client.post("/documents", files={"file": ("a.png", png(), "image/png")})
    where = added.headers["location"]

    part = client.get(f"{where}/content", headers={"Range": "bytes=1-3"})
    small = eventually(lambda: client.get(f"{where}/thumbnail"), lambda a: a.status_code == 200)

    assert (part.status_code, part.content) == (206, b"PNG")
    assert small.content.startswith(b"\x89PNG")


def test_a_large_archive_is_kept_and_goes_with_its_row(
    client: httpx.Client, kept: Callable[[], str], eventually: Eventually
) -> None:
    added = client.post("/archives", files={"file": ("a.zip", LARGE, "application/zip")})
    assert added.status_code == 201, added.text
    where = added.headers["location"]

    assert client.get(f"{where}/content").content == LARGE
    assert "/archives/" in kept()
    assert client.delete(where).status_code == 204
    eventually(kept, lambda listed: "/archives/" not in listed)


def test_what_is_refused_late_leaves_nothing(client: httpx.Client, kept: Callable[[], str]) -> None:
    before = kept()

    answer = client.post("/archives", files={"file": ("a.zip", LARGE[:-50], "application/zip")})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "FILE_REJECTED")
    assert kept() == before


def test_an_archive_may_come_in_pieces(client: httpx.Client) -> None:
    metadata = "filename " + base64.b64encode(b"a.zip").decode()
    length = {"Upload-Length": str(len(LARGE)), "Upload-Metadata": metadata}
    begun = client.post("/archives/resumable", headers={**TUS, **length})
    path = begun.url.join(begun.headers["location"]).path
    piece = {**TUS, "Content-Type": "application/offset+octet-stream"}

    half = 9 * 2**20
    client.patch(path, headers={**piece, "Upload-Offset": "0"}, content=LARGE[:half])
    last = client.patch(path, headers={**piece, "Upload-Offset": str(half)}, content=LARGE[half:])

    assert last.status_code == 204, last.text
    assert client.get(last.headers["location"] + "/content").content == LARGE


def test_a_store_that_goes_away_is_503_and_does_not_end_the_service(
    start_briefly: StartDepot, tmp_path: Path
) -> None:
    with object_server() as url:
        depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), **_settings(url, "a"))
    with depot.client() as client:
        answer = client.post("/documents", files={"file": ("a.png", png(), "image/png")})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert client.get("/livez").status_code == 200
    assert depot.stop(signal.SIGTERM) == 0


def test_a_store_that_cannot_be_used_is_one_line_at_the_start(
    run_depot: RunDepot, tmp_path: Path, object_url: str
) -> None:
    away = _settings("http://127.0.0.1:9", "a")
    no_bucket = {**_settings(object_url, "a"), "DEPOT_FILES__URL": "s3://nowhere/a"}

    for settings in (away, no_bucket):
        ended = run_depot("serve", "--port", "0", DEPOT_DATA_DIR=str(tmp_path), **settings)
        assert ended.returncode == 2
        assert ended.stderr.startswith("DEPOT_FILES__URL: files cannot be kept there: ")
        assert ended.stderr.count("\n") == 1
