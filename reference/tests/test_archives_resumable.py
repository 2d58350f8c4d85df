"""Archives by tus 1.0.0: an addition to the contract, for what a connection may not survive."""

import base64
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.sample_files import png, zip_of

StartDepot = Callable[..., Any]

CONTENT = zip_of({"a": os.urandom(300_000)})
HALF = len(CONTENT) // 2
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def _begin(client: httpx.Client, length: int, name: str = "a.zip") -> httpx.Response:
    metadata = "filename " + base64.b64encode(name.encode()).decode()
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata}
    return client.post("/archives/resumable", headers=headers)


def _path(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return answer.url.join(answer.headers["location"]).path


def _send(client: httpx.Client, path: str, offset: int, data: bytes) -> httpx.Response:
    return client.patch(path, headers={**PIECE, "Upload-Offset": str(offset)}, content=data)


def _error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_archive_may_come_in_pieces(client: httpx.Client) -> None:
    path = _path(_begin(client, len(CONTENT), "Übung.zip"))

    first = _send(client, path, 0, CONTENT[:HALF])
    offset = int(client.head(path, headers=TUS).headers["upload-offset"])
    last = _send(client, path, offset, CONTENT[offset:])

    assert (first.status_code, offset, last.status_code) == (204, HALF, 204)
    archive = client.get(last.headers["location"]).json()
    assert (archive["filename"], archive["media_type"]) == ("Übung.zip", "application/zip")
    assert client.get(last.headers["location"] + "/content").content == CONTENT
    # Whose last answer was lost knows where it is all the same.
    assert client.get(path.replace("/resumable", "")).json() == archive
    assert client.head(path, headers=TUS).headers["upload-offset"] == str(len(CONTENT))
    again = _send(client, path, len(CONTENT), b"")
    assert again.status_code == 204


def test_an_upload_goes_on_after_the_server_was_killed(
    start_briefly: StartDepot, tmp_path: Path
) -> None:
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        path = _path(_begin(client, len(CONTENT)))
        _send(client, path, 0, CONTENT[:HALF])
    depot.stop(signal.SIGKILL)

    again = start_briefly(DEPOT_DATA_DIR=str(tmp_path))

    with again.client() as client:
        assert int(client.head(path, headers=TUS).headers["upload-offset"]) == HALF
        last = _send(client, path, HALF, CONTENT[HALF:])
        assert client.get(last.headers["location"] + "/content").content == CONTENT


def test_what_comes_in_pieces_is_judged_as_what_comes_at_once(
    client: httpx.Client,
) -> None:
    climbing = zip_of({"../a": b"b"})
    refused = []
    for content in (png(), climbing):
        path = _path(_begin(client, len(content)))
        refused.append(_send(client, path, 0, content))

    assert [_error(answer) for answer in refused] == [
        (415, "UNSUPPORTED_MEDIA_TYPE"),
        (422, "FILE_REJECTED"),
    ]
    assert _error(_begin(client, 2**31 + 1)) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_an_upload_that_is_not_there_is_not_found(client: httpx.Client, method: str) -> None:
    headers = {**PIECE, "Upload-Offset": "0"}

    answer = client.request(method, "/archives/resumable/nope", headers=headers)

    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "UPLOAD_NOT_FOUND")


def test_a_browser_may_send_pieces(client: httpx.Client) -> None:
    answer = client.options(
        "/archives/resumable/x",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "tus-resumable, upload-offset, content-type",
        },
    )

    assert answer.status_code == 200
    exposed = client.post(
        "/archives/resumable", headers={**TUS, "Origin": "http://localhost:3000"}
    ).headers["access-control-expose-headers"]
    assert {"Upload-Offset", "Location", "Tus-Resumable"} <= set(exposed.split(", "))
