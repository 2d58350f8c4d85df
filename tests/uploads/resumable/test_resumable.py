"""Resumable uploads: tus 1.0.0 over real sockets, whatever happens on the way."""

import asyncio
import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from anyio import CancelScope

from roadworthy.uploads import Disk, Files, Upload
from roadworthy.uploads.resumable import upload_locks
from roadworthy.uploads.resumable.chunk_receiver import ChunkReceiver
from roadworthy.uploads.resumable.errors import UploadBusy
from roadworthy.uploads.resumable.unfinished import UnfinishedUpload, UploadInfo, UploadState
from support.http import RawClient, Reply
from support.pace import Pace
from support.polling import until
from support.server import Server, uvicorn_command
from uploads.resumable_service import LETTERS
from uploads.tus import KIB, MIB, Tus, checksum, letters, metadata, service_environment

TEXT = letters(26)


APP = "uploads.resumable_service:create_app"


@pytest.fixture
def start_tus(serve: Callable[..., Server], tmp_path: Path) -> Callable[..., Tus]:
    """Start a process of the service; all of a test share a directory and a database."""

    def start(*args: str, **env: str) -> Tus:
        server = serve(APP, factory=True, args=args, env={**service_environment(tmp_path), **env})
        return Tus(server, tmp_path / "files")

    return start


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tus]:
    folder = tmp_path_factory.mktemp("shared")
    command = uvicorn_command(APP, factory=True)
    server = Server(command, log=folder / "server.log", env=service_environment(folder))
    yield Tus(server, folder / "files")
    server.stop()


@pytest.fixture
def tus(_shared: Tus) -> Tus:
    """The service with its defaults, and nothing in it."""
    _shared("POST", "/reset")
    for path in _shared.directory.rglob("*"):
        if path.is_file():
            path.unlink()
    return Tus(_shared.server, _shared.directory)


def code(answer: Reply) -> tuple[int, str]:
    return answer.status, answer.headers["x-error-code"]


# --- The protocol ---------------------------------------------------------------------


def test_options_tells_what_is_spoken(tus):
    answer = tus("OPTIONS", "/files", Tus_Resumable=None)

    assert answer.status == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(4 * 1024 * MIB)
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,md5"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "expiration",
        "checksum",
        "termination",
    }


def test_an_upload_in_three_requests_becomes_one_file(tus):
    at = tus.create(
        26, Upload_Metadata=metadata(filename="../naïve.letters", filetype="text/plain")
    )

    answers = [tus.patch(at, a, TEXT[a:b]) for a, b in ((0, 10), (10, 25), (25, 26))]

    assert [a.status for a in answers] == [204, 204, 204]
    assert [a.headers["upload-offset"] for a in answers] == ["10", "25", "26"]
    assert {a.headers["tus-resumable"] for a in answers} == {"1.0.0"}
    row = tus.get("/rows")[0]
    assert (row["filename"], row["media_type"], row["size"]) == (
        "naïve.letters",
        "text/x-letters",
        26,
    )
    assert row["sha256"] == hashlib.sha256(TEXT).hexdigest()
    assert tus.kept() == [TEXT]
    assert [path.name for path in tus.pieces()] == ["done", "info"]


def test_the_address_of_an_upload_is_relative_and_cannot_be_guessed(tus):
    first, second = (tus.post(26).headers["location"] for _ in range(2))

    assert first != second
    assert first.startswith("files/")
    assert len(first) == len("files/") + 32


def test_head_tells_how_far_an_upload_has_come(tus):
    said = metadata(filename="a.letters") + ",is_confidential"
    at = tus.create(26, Upload_Metadata=said)
    tus.patch(at, 0, TEXT[:7])

    answer = tus.head(at)

    assert answer.status == 200
    assert answer.headers["upload-offset"] == "7"
    assert answer.headers["upload-length"] == "26"
    assert answer.headers["upload-metadata"] == said
    assert answer.headers["cache-control"] == "no-store"
    assert parsedate_to_datetime(answer.headers["upload-expires"]).timestamp() > time.time() + 86000


def test_a_complete_upload_says_so_and_takes_nothing_more(tus):
    at = tus.create(26)
    tus.patch(at, 0, TEXT)

    head, empty, more = tus.head(at), tus.patch(at, 26, b""), tus.patch(at, 26, b"x")

    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("26", "26")
    assert (empty.status, empty.headers["upload-offset"]) == (204, "26")
    assert code(more) == (413, "PAYLOAD_TOO_LARGE")
    assert len(tus.get("/runs")) == 1


def test_a_creation_may_bring_bytes_of_which_the_last_one_is_asked_for_again(tus):
    part = tus.post(26, TEXT[:10], Content_Type="application/offset+octet-stream")
    whole = tus.post(26, TEXT, Content_Type="application/offset+octet-stream")
    last = tus.patch(f"/{whole.headers['location']}", 25, TEXT[25:])

    assert (part.status, part.headers["upload-offset"]) == (201, "10")
    assert (whole.status, whole.headers["upload-offset"]) == (201, "25")
    assert (last.status, last.headers["upload-offset"]) == (204, "26")
    assert tus.kept() == [TEXT]


def test_a_creation_may_bring_more_than_other_routes_take(tus):
    whole = tus.post(5 * KIB, letters(5 * KIB), Content_Type="application/offset+octet-stream")

    assert (whole.status, whole.headers["upload-offset"]) == (201, str(5 * KIB - 1))


def test_a_creation_that_brings_too_much_is_refused_before_that_comes(tus):
    typed = {"Content_Type": "application/offset+octet-stream", "Upload_Length": 26}
    with RawClient(tus.server.port) as client:
        waiting = tus.headers({**typed, "Content_Length": 27, "Expect": "100-continue"})
        client.send("POST", "/files", headers=waiting)
        declared = client.receive()
    with RawClient(tus.server.port) as client:
        chunked = client.request("POST", "/files", headers=tus.headers(typed), chunks=[TEXT, b"x"])

    assert code(declared) == code(chunked) == (413, "PAYLOAD_TOO_LARGE")  # and no 100 Continue
    assert tus.pieces() == []


def test_a_patch_may_be_posted_where_its_method_is_overridden(tus):
    at = tus.create(26)

    answer = tus(
        "POST",
        at,
        TEXT,
        X_Http_Method_Override="PATCH",
        Content_Type="application/offset+octet-stream",
        Upload_Offset=0,
    )
    ended = tus("POST", at, b"", X_Http_Method_Override="DELETE")

    assert (answer.status, answer.headers["upload-offset"]) == (204, "26")
    assert ended.status == 204
    assert tus("GET", at, X_Http_Method_Override="DELETE").status == 405


@pytest.mark.parametrize("version", [None, "0.2.2"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_is_refused_and_nothing_done(tus, method, version):
    at = tus.create(26)

    answer = tus(method, "/files" if method == "POST" else at, Tus_Resumable=version)

    assert code(answer) == (412, "TUS_VERSION_UNSUPPORTED")
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    assert tus.offset(at) == 0


@pytest.mark.parametrize(
    ("length", "headers", "refused"),
    [
        (None, {}, (400, "TUS_HEADER_INVALID")),
        ("-1", {}, (400, "TUS_HEADER_INVALID")),
        ("1" * 5000, {}, (400, "TUS_HEADER_INVALID")),
        ("٣", {}, (400, "TUS_HEADER_INVALID")),
        (None, {"Upload_Defer_Length": "1"}, (400, "TUS_HEADER_INVALID")),
        (26, {"Upload_Defer_Length": "1"}, (400, "TUS_HEADER_INVALID")),
        (26, {"Upload_Concat": "partial"}, (400, "TUS_HEADER_INVALID")),
        (26, {"UPLOAD_CONCAT": "PARTIAL"}, (400, "TUS_HEADER_INVALID")),
        (None, {"Upload_Concat": "final;/files/a /files/b"}, (400, "TUS_HEADER_INVALID")),
        (26, {"Upload_Metadata": "filename ***"}, (400, "TUS_HEADER_INVALID")),
        (26, {"Upload_Metadata": "a YQ==,a YQ=="}, (400, "TUS_HEADER_INVALID")),
        (26, {"Upload_Metadata": "a " + "A" * 5000}, (400, "TUS_HEADER_INVALID")),
        (26, {"Upload_Metadata": metadata(filetype="image/png")}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        (0, {}, (422, "FILE_REJECTED")),
        (5 * 1024 * MIB, {}, (413, "PAYLOAD_TOO_LARGE")),
    ],
)
def test_a_creation_that_cannot_become_a_file_is_refused(tus, length, headers, refused):
    if isinstance(length, str) and not length.isascii():
        length = length.encode().decode("latin-1")

    answer = tus.post(length, **headers)

    assert code(answer) == refused
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert tus.pieces() == []


@pytest.mark.parametrize(
    ("offset", "headers", "refused"),
    [
        (0, {"Content_Type": "application/octet-stream"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        (0, {"Content_Type": None}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        (None, {}, (400, "TUS_HEADER_INVALID")),
        ("x", {}, (400, "TUS_HEADER_INVALID")),
        (0, {"Upload_Checksum": "crc32 AAAA"}, (400, "TUS_HEADER_INVALID")),
        (0, {"Upload_Checksum": "sha1 *"}, (400, "TUS_HEADER_INVALID")),
        (1, {}, (409, "OFFSET_CONFLICT")),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_and_changes_nothing(tus, offset, headers, refused):
    at = tus.create(26)

    answer = tus.patch(at, offset, TEXT[:10], **headers)

    assert code(answer) == refused
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert tus.offset(at) == 0


def test_a_conflict_tells_the_right_offset(tus):
    at = tus.create(26)
    tus.patch(at, 0, TEXT[:10])

    assert tus.patch(at, 0, TEXT[:10]).headers["upload-offset"] == "10"


def test_bytes_beyond_the_length_are_refused(tus):
    at = tus.create(26)

    declared = tus.patch(at, 0, TEXT + b"x")
    with RawClient(tus.server.port) as client:
        typed = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": 0}
        chunked = client.request("PATCH", at, headers=tus.headers(typed), chunks=[TEXT, b"x"])

    assert code(declared) == code(chunked) == (413, "PAYLOAD_TOO_LARGE")
    assert tus.offset(at) == 0


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize("name", ["0" * 32, "x", "X", "%C3%A9", "a" * 300, "..%2F..%2Finfo"])
def test_an_unknown_upload_is_not_found(tus, method, name):
    headers = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": 0}

    answer = tus(method, f"/files/{name}", b"" if method == "PATCH" else None, **headers)

    assert answer.status == 404
    assert "upload-offset" not in answer.headers


def test_a_browser_on_another_origin_may_use_all_of_it(tus):
    origin = {"Origin": "https://shop.example", "Access-Control-Request-Method": "PATCH"}
    wants = "content-type,tus-resumable,upload-offset,upload-checksum,x-http-method-override"

    preflight = tus("OPTIONS", "/files", **origin, Access_Control_Request_Headers=wants)
    created = tus.post(26, Origin="https://shop.example")

    assert preflight.status == 200
    exposed = created.headers["access-control-expose-headers"].lower()
    assert {"location", "upload-offset", "upload-length"} <= set(exposed.split(", "))


def test_the_contract_documents_the_protocol(tus):
    paths = tus.get("/openapi.json")["paths"]
    operation = paths["/files/{upload_id}"]["patch"]

    assert set(paths["/files"]) == {"post", "options"}
    assert set(paths["/files/{upload_id}"]) == {"patch", "head", "delete", "options"}
    assert "application/offset+octet-stream" in operation["requestBody"]["content"]
    assert {"Upload-Offset", "Tus-Resumable"} <= {p["name"] for p in operation["parameters"]}
    assert {"204", "404", "409", "410", "412", "413", "415", "422", "423", "460"} <= set(
        operation["responses"]
    )


# --- Who may --------------------------------------------------------------------------


def test_nothing_is_read_of_a_caller_who_is_not_known(tus):
    tus.path = "/private"
    at = tus.create(26, Authorization="Bearer ann")

    with tus.begin(at, 0, 26, Expect="100-continue") as client:
        answer = client.receive()

    assert answer.status == 401
    assert answer.headers["tus-resumable"] == "1.0.0"


@pytest.mark.parametrize(("target", "headers"), [("?count=many", {}), ("", {"X_Number": "none"})])
def test_nothing_is_read_before_all_parameters_fit(tus, target, headers):
    tus.path = "/private"
    ann = {"Authorization": "Bearer ann"}
    at = tus.create(26, **ann)

    with tus.begin(f"{at}{target}", 0, 26, **ann, **headers, Expect="100-continue") as client:
        answer = client.receive()

    assert code(answer) == (422, "VALIDATION_FAILED")  # and no 100 Continue
    assert tus.head(at, **ann).headers["upload-offset"] == "0"


def test_nothing_is_created_before_all_parameters_fit(tus):
    tus.path = "/private"

    answer = tus.post(26, TEXT, Authorization="Bearer ann", X_Number="none")

    assert code(answer) == (422, "VALIDATION_FAILED")
    assert tus.pieces() == []


def test_an_owner_is_not_written_down(tus):
    tus.path = "/private"
    tus.create(26, Authorization="Bearer somebody's-token")

    (info,) = tus.pieces()

    assert "somebody" not in info.read_text()


def test_an_upload_is_there_for_its_owner_only(tus):
    tus.path = "/private"
    at = tus.create(26, Authorization="Bearer ann")
    bob = {"Authorization": "Bearer bob"}

    answers = [tus.head(at, **bob), tus.patch(at, 0, TEXT, **bob), tus("DELETE", at, **bob)]

    assert [code(a) for a in answers] == [(404, "UPLOAD_NOT_FOUND")] * 3
    assert tus.patch(at, 0, TEXT, Authorization="Bearer ann").status == 204


def test_a_stranger_does_not_interrupt_an_upload(tus):
    tus.path = "/private"
    at = tus.create(26, Authorization="Bearer ann")
    with tus.begin(at, 0, 26, Authorization="Bearer ann") as client:
        client.write(TEXT[:10])
        time.sleep(0.2)
        tus.head(at, Authorization="Bearer bob")
        time.sleep(1.5)
        client.write(TEXT[10:])

        assert client.receive().status == 204


# --- What is judged -------------------------------------------------------------------


def test_a_type_that_is_not_taken_is_told_within_the_first_bytes(tus):
    at = tus.create(100 * MIB)
    with tus.begin(at, 0, 100 * MIB) as client:
        client.write(b"no letters".ljust(4 * KIB))
        answer = client.receive()

    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert code(tus.head(at)) == (410, "UPLOAD_GONE")
    assert not [path for path in tus.pieces() if path.name.isdigit()]


def test_the_first_bytes_may_come_in_several_requests(tus):
    good, bad = letters(10 * KIB), b"lettesr".ljust(10 * KIB)
    ats = [tus.create(10 * KIB) for _ in range(2)]
    for at, content in zip(ats, (good, bad), strict=True):
        tus.patch(at, 0, content[:3])
        tus.patch(at, 3, content[3:2000])

    answers = [tus.patch(at, 2000, c[2000:]) for at, c in zip(ats, (good, bad), strict=True)]

    assert [a.status for a in answers] == [204, 415]
    assert tus.kept() == [good]


def test_a_file_that_is_rejected_when_it_is_whole_is_gone(tus):
    content = letters(100 * KIB)[:-1] + b"x"
    at = tus.create(100 * KIB)
    tus.patch(at, 0, content[: 50 * KIB])

    answer = tus.patch(at, 50 * KIB, content[50 * KIB :])

    assert code(answer) == (422, "FILE_REJECTED")
    assert code(tus.head(at)) == (410, "UPLOAD_GONE")
    assert tus.get("/runs") == []
    assert tus.files() == []
    assert [path.name for path in tus.pieces()] == ["gone", "info"]


# --- Checksums ------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_bytes_that_are_what_their_checksum_says_are_taken(tus, algorithm):
    at = tus.create(26)

    first = tus.patch(at, 0, TEXT[:10], Upload_Checksum=checksum(TEXT[:10], algorithm))
    second = tus.patch(at, 10, TEXT[10:], Upload_Checksum=checksum(TEXT[10:], algorithm))

    assert (first.status, second.status) == (204, 204)
    assert tus.kept() == [TEXT]


def test_bytes_that_are_not_what_their_checksum_says_are_discarded(tus):
    content = letters(20 * MIB)
    at = tus.create(len(content))
    tus.patch(at, 0, content[:10])

    part = tus.patch(at, 10, content[10 : 18 * MIB], Upload_Checksum=checksum(b"other"))
    rest = tus.patch(at, 10, content[10:], Upload_Checksum=checksum(content[10:-1]))

    assert code(part) == code(rest) == (460, "CHECKSUM_MISMATCH")
    assert tus.offset(at) == 10
    assert tus.get("/runs") == []


def test_what_broke_off_before_its_checksum_could_be_compared_is_discarded(tus):
    content = letters(MIB)
    at = tus.create(MIB)
    with tus.begin(at, 0, MIB, Upload_Checksum=checksum(content)) as client:
        client.write(content[: 600 * KIB])
        time.sleep(0.3)

    assert tus.offset(at) == 0


# --- Connections that drop ------------------------------------------------------------


def test_an_upload_that_is_broken_off_at_any_byte_is_resumed(tus):
    offsets = list[int]()
    for cut in range(len(TEXT)):
        at = tus.create(26)
        with tus.begin(at, 0, 26) as client:
            client.write(TEXT[:cut])
            time.sleep(0.02)  # uvicorn drops what it has not handed over when a client leaves
        offset = tus.offset(at)
        assert tus.patch(at, offset, TEXT[offset:]).status == 204
        offsets.append(offset)

    assert all(offset in {0, cut} for cut, offset in enumerate(offsets))
    assert len(set(offsets)) > 13
    assert tus.kept() == [TEXT] * len(TEXT)


@pytest.mark.parametrize("cut", [5 * KIB, 300 * KIB, 17 * MIB])
def test_a_large_upload_goes_on_where_it_was_broken_off(tus, cut):
    content = letters(20 * MIB)
    at = tus.create(len(content))
    with tus.begin(at, 0, len(content)) as client:
        client.write(content[:cut])
        time.sleep(0.5)

    offset = tus.offset(at)
    answer = tus.patch(at, offset, content[offset:])

    assert (offset, answer.status) == (cut, 204)
    assert tus.kept() == [content]
    assert tus.get("/in-flight") == 0


def test_a_client_that_comes_back_is_not_kept_out_by_its_dead_connection(tus):
    content = letters(MIB)
    at = tus.create(MIB)
    with tus.begin(at, 0, MIB) as dead:
        dead.write(content[: 600 * KIB])
        time.sleep(0.3)

        began = time.monotonic()
        with Pace() as pace:
            offset = tus.offset(at)
            answer = tus.patch(at, offset, content[offset:])
        seconds = time.monotonic() - began
        interrupted = dead.receive()

    assert (offset, answer.status) == (600 * KIB, 204)
    assert seconds < pace.stretched(3)
    assert code(interrupted) == (409, "UPLOAD_INTERRUPTED")
    assert tus.kept() == [content]


def test_who_asks_for_the_offset_lets_what_is_under_way_come_first(tus):
    content = letters(MIB)
    at = tus.create(MIB)
    with tus.begin(at, 0, MIB) as client, RawClient(tus.server.port) as other:
        client.write(content[: 500 * KIB])
        time.sleep(0.1)
        other.send("HEAD", at, headers=tus.headers({}))
        for start in range(500 * KIB, MIB, 64 * KIB):
            client.write(content[start : start + 64 * KIB])
            time.sleep(0.02)
        answer, asked = client.receive(), other.receive(head=True)

    assert answer.status == 204
    assert asked.headers["upload-offset"] == str(MIB)


async def test_who_waits_too_long_for_another_request_is_told(monkeypatch):
    monkeypatch.setattr(upload_locks, "_PATIENCE", 0.1)
    here = upload_locks.UploadLocks()
    with await here.take("upload"):
        with pytest.raises(UploadBusy):
            await here.take("upload")
        (await here.take("another")).done()

    (await here.take("upload")).done()


def test_a_body_that_stops_is_answered_and_what_came_is_kept(start_tus):
    tus = start_tus(IDLE="1")
    at = tus.create(MIB)
    with tus.begin(at, 0, MIB) as client:
        client.write(letters(MIB)[: 600 * KIB])
        answer = client.receive()

    assert code(answer) == (409, "UPLOAD_INTERRUPTED")  # 408 would make tus-js-client give up
    assert answer.headers["upload-offset"] == str(600 * KIB)
    assert tus.offset(at) == 600 * KIB


def test_what_came_before_a_silence_counts_unless_a_checksum_is_still_to_come(start_tus):
    one, two = start_tus(), start_tus()
    content = letters(MIB)
    plain, summed = one.create(MIB), one.create(MIB)
    with (
        one.begin(plain, 0, MIB) as client,
        one.begin(summed, 0, MIB, Upload_Checksum=checksum(content)) as other,
    ):
        for each in (client, other):
            each.write(content[: 600 * KIB])
        time.sleep(4.5)
        offsets = two.offset(plain), two.offset(summed)
        for each in (client, other):
            each.write(content[600 * KIB :])

        assert (client.receive().status, other.receive().status) == (204, 204)

    assert offsets == (600 * KIB, 0)
    assert one.kept() == [content, content]


def test_a_body_that_is_silent_is_let_go_from_memory(tus):
    at = tus.create(MIB)
    with tus.begin(at, 0, MIB) as client:
        client.write(letters(MIB)[: 100 * KIB])  # less than a batch
        time.sleep(0.5)
        soon = sum(path.stat().st_size for path in tus.unfinished())
        time.sleep(1.5)
        later = sum(path.stat().st_size for path in tus.unfinished())

    assert (soon, later) == (0, 100 * KIB)


def test_what_is_under_way_is_limited(start_tus):
    tus = start_tus(MAX_IN_FLIGHT=str(300 * KIB))
    content = letters(MIB)
    at = tus.create(MIB)

    large = tus.patch(at, 0, content)
    offset = tus.offset(at)
    small = tus.patch(at, offset, content[offset : offset + 200 * KIB])

    assert code(large) == (503, "SERVICE_UNAVAILABLE")
    assert "retry-after" in large.headers
    assert offset <= 300 * KIB
    assert small.status == 204
    assert tus.get("/in-flight") == 0


def test_an_upload_in_too_many_pieces_is_refused(tus):
    at = tus.create(20_000)
    (info,) = tus.pieces()
    for offset in range(10_000):
        (info.parent / f"{offset:016}").write_bytes(b"x")

    answer = tus.patch(at, 10_000, b"x" * 1000)

    assert code(answer) == (422, "TOO_MANY_PIECES")
    assert tus.offset(at) == 10_000


def test_a_full_disk_is_told_as_such_and_the_upload_goes_on(start_tus, small_disk):
    tus = start_tus(FILES=str(small_disk / "files"))
    content = letters(3 * MIB)
    at = tus.create(len(content))
    tus.patch(at, 0, content[: 100 * KIB])

    full = tus.patch(at, 100 * KIB, content[100 * KIB :])
    offset = tus.offset(at)
    more = tus.patch(at, offset, content[offset : offset + 10 * KIB])

    assert code(full) == (507, "INSUFFICIENT_STORAGE")
    assert "No space left" in tus.server.log_text()
    assert (offset, more.status) == (100 * KIB, 204)
    assert tus.get("/in-flight") == 0


class CancelledHalfWay:
    """A body on which the request is cancelled, as anyio does that: until its scope is left."""

    def __init__(self, scope: CancelScope, *pieces: bytes | None) -> None:
        self.scope, self.pieces = scope, [*pieces]

    async def read(self):
        piece = self.pieces.pop(0)
        if not self.pieces:
            asyncio.get_running_loop().call_soon(self.scope.cancel)
        return await asyncio.Future() if piece is None else piece


@pytest.mark.parametrize(
    ("pieces", "offset"),
    [
        ((b"x" * 596 * KIB, b"x" * 10 * KIB, None), 610 * KIB),  # while it waits for more
        ((b"x" * 596 * KIB, b"x" * 300 * KIB), 900 * KIB),  # while it writes
        ((b"x" * 596 * KIB, b""), 600 * KIB),  # while it puts the piece there
    ],
    ids=["waiting", "writing", "committing"],
)
async def test_a_request_that_is_cancelled_without_end_keeps_what_has_come(
    tmp_path, pieces, offset
):
    info = UploadInfo(
        length=MIB, metadata="", filename=None, media_type="", owner="", expires_at=2**40
    )
    policy = Upload(max_bytes=MIB, accept=(LETTERS,)).policy
    async with Files(Disk(tmp_path)) as files:
        upload = UnfinishedUpload(files, "0" * 32)
        await upload.create(info)
        with CancelScope() as scope:
            holder = await upload_locks.UploadLocks().take("upload")
            receiver = ChunkReceiver(
                policy, files, upload, UploadState(info=info), holder=holder, checksum=None
            )
            await receiver.read(CancelledHalfWay(scope, letters(MIB)[: KIB * 4], *pieces))

        assert scope.cancelled_caught
        assert (await upload.load(owner="")).offset == offset
        assert files.in_flight == 0
    assert list(tmp_path.glob("~unfinished/*")) == []


def test_a_stopping_server_keeps_what_has_come(start_tus):
    tus = start_tus("--timeout-graceful-shutdown", "1")
    content = letters(MIB)
    at = tus.create(MIB)
    with tus.begin(at, 0, MIB) as client:
        client.write(content[: 600 * KIB])
        time.sleep(0.5)
        tus.server.stop(signal.SIGTERM)

    again = start_tus()
    assert again.offset(at) == 600 * KIB
    assert again.patch(at, 600 * KIB, content[600 * KIB :]).status == 204
    assert again.kept() == [content]


def test_two_requests_at_once_make_one_file_and_not_a_mixture(tus):
    a, b = letters(3 * MIB, b"a"), letters(3 * MIB, b"b")
    at = tus.create(3 * MIB)
    answers = list[Reply]()

    def send(content: bytes) -> None:
        answers.append(tus.patch(at, 0, content))

    threads = [threading.Thread(target=send, args=(content,)) for content in (a, b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    statuses = {answer.status for answer in answers}
    assert statuses <= {204, 409}
    if 204 not in statuses:  # each interrupted the other
        offset = tus.offset(at)
        assert tus.patch(at, offset, a[offset:]).status == 204
    (kept,) = tus.kept()
    assert len(kept) == 3 * MIB


# --- Processes that die ---------------------------------------------------------------


def test_another_process_goes_on_after_a_kill_at_any_moment(start_tus):
    content = random.Random(1).randbytes(40 * MIB)
    content = b"letters" + content[7:-1] + b"."
    moments = random.Random(2)
    tus = start_tus()
    at = tus.create(len(content))
    offset = 0

    for _ in range(4):
        with tus.begin(at, offset, len(content) - offset) as client:
            sent = moments.randrange(MIB, 20 * MIB)
            client.write(content[offset : offset + sent])
            time.sleep(moments.random() / 4)
            os.kill(tus.server.pid, signal.SIGKILL)
            tus.server.wait()
        tus = start_tus()
        now = tus.offset(at)
        assert offset + sent - now <= 17 * MIB + 4 * MIB  # a piece, and what sockets hold
        offset = now

    assert tus.patch(at, offset, content[offset:]).status == 204
    assert tus.kept() == [content]


def test_a_killed_process_loses_one_piece_at_most(start_tus):
    tus = start_tus()
    content = letters(50 * MIB)
    at = tus.create(len(content))
    with tus.begin(at, 0, len(content)) as client:
        client.write(content[: 40 * MIB])
        until(lambda: len([path for path in tus.pieces() if path.name.isdigit()]) == 2)
        os.kill(tus.server.pid, signal.SIGKILL)
        tus.server.wait()

    assert 32 * MIB <= start_tus().offset(at) < 33 * MIB


def test_a_file_whose_endpoint_died_is_kept_by_the_next_try(start_tus):
    tus = start_tus()
    at = tus.create(26)
    with pytest.raises(ConnectionError):
        tus.patch(f"{at}?answer=die%20once", 0, TEXT)

    again = start_tus()
    offset = again.offset(at)
    answer = again.patch(at, offset, TEXT[offset:])

    assert (offset, answer.status) == (25, 204)
    first, second = again.get("/runs")
    assert first == second
    assert again.kept() == [TEXT]


def test_two_processes_share_an_upload(start_tus):
    one, two = start_tus(), start_tus()
    content = letters(30 * MIB)
    at = one.create(len(content))
    one.patch(at, 0, content[: 9 * MIB])

    offset = two.offset(at)
    answer = two.patch(at, offset, content[offset : 20 * MIB])
    last = one.patch(at, 20 * MIB, content[20 * MIB :])

    assert (offset, answer.status, last.status) == (9 * MIB, 204, 204)
    assert two.offset(at) == len(content)
    assert two.kept() == [content]


def test_of_two_processes_that_receive_the_same_one_goes_on(start_tus):
    one, two = start_tus(), start_tus()
    content = letters(MIB)
    at = one.create(MIB)
    with one.begin(at, 0, MIB) as first, two.begin(at, 0, MIB) as second:
        first.write(content[: 600 * KIB])
        second.write(content[: 500 * KIB])
        time.sleep(0.3)
        first.write(content[600 * KIB : -1])
        time.sleep(0.3)
        second.write(content[500 * KIB : -1])
        first.close()
        until(lambda: two.offset(at) == MIB - 1)
        second.write(content[-1:])
        overtaken = second.receive()

    assert overtaken.status == 409
    assert one.patch(at, MIB - 1, b".").status == 204
    assert one.kept() == [content]


def test_who_is_overtaken_by_another_process_is_told_where_to_go_on(start_tus):
    one, two = start_tus(), start_tus()
    content = letters(MIB)
    at = one.create(MIB)
    with one.begin(at, 0, MIB) as first, two.begin(at, 0, MIB) as second:
        second.write(content[: 500 * KIB])
        first.write(content[: 600 * KIB])
        time.sleep(0.3)
        first.close()
        until(lambda: one.offset(at) == 600 * KIB)
        second.write(content[500 * KIB :])
        overtaken = second.receive()

    assert code(overtaken) == (409, "OFFSET_CONFLICT")
    assert overtaken.headers["upload-offset"] == str(600 * KIB)
    assert two.patch(at, 600 * KIB, content[600 * KIB :]).status == 204
    assert one.kept() == [content]
    assert two.get("/in-flight") == 0


@pytest.mark.parametrize("size", [26, 40 * MIB])  # of the second, each makes a file of its own
def test_two_processes_that_complete_at_once_keep_one_file(start_tus, size):
    one, two = start_tus(), start_tus()
    at = one.create(size)
    one.patch(at, 0, letters(size)[:-1])
    answers = list[int]()

    def finish(tus: Tus) -> None:
        answers.append(tus.patch(f"{at}?answer=slowly", size - 1, b".").status)

    threads = [threading.Thread(target=finish, args=(tus,)) for tus in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [204, 204]
    assert len(set(one.get("/runs"))) == 1
    assert one.kept() == [letters(size)]
    assert len(one.files()) == 1
    assert one.held() == []


# --- Endpoints that refuse and fail ---------------------------------------------------


@pytest.mark.parametrize("answer", ["fail once", "commit, then fail once"])
def test_an_upload_is_not_complete_before_its_endpoint_has_kept_it(tus, answer):
    at = tus.create(MIB)
    failed = tus.patch(f"{at}?answer={answer.replace(' ', '%20')}", 0, letters(MIB))

    offset = tus.offset(at)
    again = tus.patch(f"{at}?answer={answer.replace(' ', '%20')}", offset, b".")

    assert (failed.status, offset, again.status) == (500, MIB - 1, 204)
    assert tus.offset(at) == MIB
    first, second = tus.get("/runs")
    assert first == second
    assert tus.kept() == [letters(MIB)]
    assert tus.held() == []


def test_a_file_in_doubt_is_not_swept_before_its_upload_expires(start_tus):
    tus = start_tus(LIFETIME="4")
    doubted, kept = tus.create(26), tus.create(26)
    tus.patch(f"{doubted}?answer=fail%20once", 0, TEXT)
    tus.patch(kept, 0, TEXT)

    early = tus("POST", "/sweep").json()
    again = tus.patch(doubted, 25, b".")
    tus.patch(f"{(lost := tus.create(26))}?answer=fail%20once", 0, TEXT)
    time.sleep(4.1)
    late = tus("POST", "/sweep").json()

    assert (early, again.status, late) == (0, 204, 1)
    assert tus.kept() == [TEXT] * 2
    assert tus.head(lost).status == 404
    assert tus.pieces() == []


def test_an_upload_whose_endpoint_answers_5xx_may_be_completed_again(tus):
    at = tus.create(26)

    failed = tus.patch(f"{at}?answer=503", 0, TEXT)
    again = tus.patch(f"{at}?answer=503", tus.offset(at), b".")

    assert (failed.status, again.status) == (503, 204)
    first, second = tus.get("/runs")
    assert first == second
    assert tus.kept() == [TEXT]


@pytest.mark.parametrize("refusal", ["refuse", "409"])
def test_an_upload_whose_endpoint_refuses_it_is_gone_with_its_file(tus, refusal):
    at = tus.create(26)

    answer = tus.patch(f"{at}?answer={refusal}", 0, TEXT)

    assert answer.status == 409
    assert code(tus.head(at)) == (410, "UPLOAD_GONE")
    assert tus.files() == []
    assert list((tus.directory / "unfinished" / "held").rglob("*.*")) == []


def test_a_refusal_does_not_remove_what_an_earlier_run_may_have_kept(tus):
    at = tus.create(26)
    tus.patch(f"{at}?answer=commit,%20then%20fail%20once", 0, TEXT)

    answer = tus.patch(f"{at}?answer=refuse%20again", 25, b".")

    assert answer.status == 409
    assert tus.kept() == [TEXT]


def test_a_completed_upload_is_asked_about_while_its_endpoint_runs(tus):
    at = tus.create(26)
    with tus.begin(f"{at}?answer=slowly", 0, 26) as client:
        client.write(TEXT)
        time.sleep(0.3)

        assert tus.offset(at) == 26  # it waited
        assert client.receive().status == 204


# --- The end --------------------------------------------------------------------------


def test_an_upload_expires(start_tus):
    tus = start_tus(LIFETIME="1.5")
    at = tus.create(26)
    expires = parsedate_to_datetime(tus.patch(at, 0, TEXT[:10]).headers["upload-expires"])
    time.sleep(1.6)

    answers = [tus.patch(at, 10, TEXT[10:]), tus.patch(at, 10, TEXT[10:])]

    assert abs(expires.timestamp() - time.time()) < 3
    assert [a.status for a in answers] == [410, 404]
    assert tus.pieces() == []


def test_what_nobody_came_back_for_is_swept(start_tus):
    tus = start_tus(LIFETIME="1")
    tus.patch(tus.create(26), 0, TEXT[:10])
    tus("POST", "/sweep?seconds=60")
    before = len(tus.pieces())
    time.sleep(1.1)

    tus("POST", "/sweep?seconds=60")

    assert (before, tus.pieces()) == (2, [])


def test_an_upload_is_terminated_with_all_that_has_come(tus):
    at = tus.create(26)
    tus.patch(at, 0, TEXT[:10])

    answer = tus("DELETE", at)

    assert answer.status == 204
    assert tus.head(at).status == tus.patch(at, 10, TEXT[10:]).status == 410
    assert not [path for path in tus.pieces() if path.name.isdigit()]


def test_terminating_a_complete_upload_leaves_the_file_that_was_kept(tus):
    at = tus.create(26)
    tus.patch(at, 0, TEXT)

    answer = tus("DELETE", at)

    assert answer.status == 204
    assert tus.head(at).status == 404
    assert tus.kept() == [TEXT]


def test_a_creation_that_breaks_off_leaves_nothing(tus):
    lines = tus.headers(
        {
            "Host": "testserver",
            "Content_Type": "application/offset+octet-stream",
            "Content_Length": 26,
            "Upload_Length": 26,
        }
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with RawClient(tus.server.port) as client:
        client.write(f"POST /files HTTP/1.1\r\n{head}\r\n".encode() + TEXT[:10])
        until(tus.pieces)

    until(lambda: tus.pieces() == [])
