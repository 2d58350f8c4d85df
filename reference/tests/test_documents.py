"""CONTRACT: Documents."""

import hashlib
import io
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from support.pace import Pace
from support.sample_files import jpeg, pdf, pdf_that, pixel_bomb, png, zip_of

Eventually = Callable[..., Any]
AtOnce = Callable[..., list[Any]]

MiB = 2**20
EMPTY = b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--b--\r\n'
FIELDS = {"id", "filename", "media_type", "size_bytes", "sha256", "thumbnail"}


def _post(
    client: httpx.Client,
    content: bytes,
    media_type: str = "application/octet-stream",
    *,
    name: str = "a file.bin",
    path: str = "/documents",
) -> httpx.Response:
    return client.post(path, files={"file": (name, content, media_type)})


def _error(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "path", "request_id", "details"}
    assert error["code"] == answer.headers["x-error-code"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def _thumbnail(client: httpx.Client, added: httpx.Response, eventually: Eventually) -> Image.Image:
    path = added.headers["location"] + "/thumbnail"
    answer = eventually(lambda: client.get(path), lambda answer: answer.status_code == 200)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("content", "declared", "media_type"),
    [
        (png(), "image/png", "image/png"),
        (png(), "IMAGE/PNG", "image/png"),
        (png(), "image/png; x=y", "image/png"),
        (jpeg(), "image/jpeg", "image/jpeg"),
        (pdf(), "application/pdf", "application/pdf"),
        (jpeg(), "application/octet-stream", "image/jpeg"),
    ],
    ids=["png", "capitals", "parameter", "jpeg", "pdf", "any"],
)
def test_a_document_is_kept_as_what_its_bytes_are(
    client: httpx.Client, content: bytes, declared: str, media_type: str
) -> None:
    answer = _post(client, content, declared, name="Übung.exe")

    assert answer.status_code == 201, answer.text
    document = answer.json()
    assert set(document) == FIELDS
    assert answer.headers["location"] == f"/documents/{document['id']}"
    assert (document["media_type"], document["size_bytes"]) == (media_type, len(content))
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert document["thumbnail"] == "pending"
    assert document["filename"].startswith("Übung")
    shown = client.get(answer.headers["location"]).json()
    assert {**shown, "thumbnail": "pending"} == document
    assert client.head(answer.headers["location"]).status_code == 200


def test_the_name_is_for_display_only(client: httpx.Client) -> None:
    """U6."""
    names = ["../../etc/passwd", "C:\\temp\\a.png", "a\u202egnp.png", "x" * 2000]

    documents = [_post(client, png(), name=name).json() for name in names]

    shown = [document["filename"] for document in documents]
    assert [n for n in shown if "/" in n or "\\" in n or "\u202e" in n or len(n) > 255] == []


def test_the_content_comes_back_as_it_was_sent(client: httpx.Client) -> None:
    content = png(640, 480)
    path = _post(client, content, name="naïve 'plan'.png").headers["location"] + "/content"

    answer, head = client.get(path), client.head(path)

    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=UTF-8''na%C3%AFve" in disposition
    assert (head.status_code, head.content) == (200, b"")
    same = ("content-length", "etag", "content-type", "content-disposition", "accept-ranges")
    assert [answer.headers[name] for name in same] == [head.headers[name] for name in same]


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-7", -7, None)],
)
def test_a_part_can_be_asked_for(client: httpx.Client, wanted: str, start: int, end: int) -> None:
    content = png(640, 480)
    path = _post(client, content).headers["location"] + "/content"

    answer = client.get(path, headers={"Range": wanted})

    assert (answer.status_code, answer.content) == (206, content[start:end])
    assert answer.headers["content-range"].endswith(f"/{len(content)}")


def test_a_part_beyond_the_end_is_refused_in_the_shape_of_all_errors(
    client: httpx.Client,
) -> None:
    content = png()
    path = _post(client, content).headers["location"] + "/content"

    answer = client.get(path, headers={"Range": "bytes=99999999-"})

    assert _error(answer) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == f"bytes */{len(content)}"


def test_what_a_reader_has_is_not_sent_again(client: httpx.Client, eventually: Eventually) -> None:
    added = _post(client, png())
    _thumbnail(client, added, eventually)
    for more in ("", "/content", "/thumbnail"):
        path = added.headers["location"] + more
        tag = client.get(path).headers["etag"]

        answer = client.get(path, headers={"If-None-Match": tag})

        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize(
    ("content", "size"),
    [(png(640, 480), (256, 192)), (jpeg(100, 400), (64, 256)), (pdf(pages=3), (181, 256))],
    ids=["png", "jpeg", "pdf"],
)
def test_a_thumbnail_is_made_by_the_job_that_the_answer_names(
    client: httpx.Client, eventually: Eventually, content: bytes, size: tuple[int, int]
) -> None:
    added = _post(client, content)
    (job_id,) = added.headers.get_list("x-job-id")

    image = _thumbnail(client, added, eventually)

    assert image.format == "PNG"
    assert all(abs(a - b) <= 1 for a, b in zip(image.size, size, strict=True))
    assert client.get(added.headers["location"]).json()["thumbnail"] == "ready"
    job = eventually(
        lambda: client.get(f"/jobs/{job_id}").json(), lambda job: job["status"] == "succeeded"
    )
    assert (job["task"], job["attempts"]) == ("documents.make_thumbnail", 1)


def test_a_document_is_gone_once_it_is_deleted(
    client: httpx.Client, depot: Any, eventually: Eventually
) -> None:
    added = _post(client, png())
    path = added.headers["location"]
    _thumbnail(client, added, eventually)

    deleted = client.delete(path)

    assert (deleted.status_code, deleted.content) == (204, b"")
    gone = [client.get(path + more) for more in ("", "/content", "/thumbnail")]
    assert [_error(a) for a in (client.delete(path), *gone)] == [(404, "DOCUMENT_NOT_FOUND")] * 4
    (job_id,) = deleted.headers.get_list("x-job-id")
    eventually(lambda: client.get(f"/jobs/{job_id}").json()["status"] == "succeeded")


def test_of_those_who_delete_at_once_one_does(client: httpx.Client, at_once: AtOnce) -> None:
    path = _post(client, png()).headers["location"]

    answers = at_once(lambda _: client.delete(path).status_code, 5)

    assert sorted(answers) == [204, 404, 404, 404, 404]


def test_a_document_that_changed_meanwhile_is_not_deleted(
    client: httpx.Client, eventually: Eventually
) -> None:
    added = _post(client, png())
    path, stale = added.headers["location"], {"If-Match": added.headers["etag"]}
    _thumbnail(client, added, eventually)

    refused = client.delete(path, headers=stale)
    current = {"If-Match": client.get(path).headers["etag"]}

    assert _error(refused) == (412, "PRECONDITION_FAILED")
    assert client.delete(path, headers=current).status_code == 204


@pytest.mark.parametrize(
    "document_id", ["nope", "%00", "x" * 300, "0f1d8a52-5d64-4a5e-9c1b-2f6e1c1f3a77", "..%2f.."]
)
@pytest.mark.parametrize("more", ["", "/content", "/thumbnail"])
def test_a_document_that_is_not_there_is_not_found(
    client: httpx.Client, document_id: str, more: str
) -> None:
    answer = client.get(f"/documents/{document_id}{more}")

    assert answer.status_code == 404
    assert answer.headers["x-error-code"] in {"DOCUMENT_NOT_FOUND", "NOT_FOUND"}


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (b"<html><script>alert(1)</script></html>", "image/png"),
        (png(), "image/jpeg"),
        (png(), "text/html"),
        (pdf(), "image/png"),
        (b"GIF89a" + bytes(100), "image/gif"),
        (b"hello", "application/octet-stream"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (zip_of({"a": b"b"}), "application/zip"),
    ],
    ids=["html", "jpeg", "as-html", "pdf", "gif", "text", "svg", "zip"],
)
def test_another_type_is_refused_and_so_is_one_that_was_not_declared(
    client: httpx.Client, content: bytes, declared: str
) -> None:
    """U5."""
    assert _error(_post(client, content, declared)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content",
    [
        png() + zip_of({"a.php": b"<?php system($_GET[0]); ?>"}),
        jpeg() + b"<script>",
        pdf() + b"MZ" + bytes(2000),
        pdf_that("JavaScript"),
        pdf_that("Launch"),
        png()[:-20],
        jpeg()[:-20],
        pdf()[:-200],
        pixel_bomb,
    ],
    ids=[
        *("png-and-zip", "jpeg-and-more", "pdf-and-more", "javascript", "launch"),
        *("png-cut", "jpeg-cut", "pdf-cut", "pixel-bomb"),
    ],
)
def test_a_file_that_is_broken_or_dangerous_is_rejected(
    client: httpx.Client, content: bytes | Callable[[], bytes]
) -> None:
    """U5, U7."""
    answer = _post(client, content() if callable(content) else content)

    assert _error(answer) == (422, "FILE_REJECTED")
    assert answer.json()["error"]["details"][0]["reason"]


def test_one_byte_too_many_is_refused(client: httpx.Client) -> None:
    limit = 5 * MiB

    exact = png(noise=limit)
    answers = [
        _post(client, _padded(size), "image/png") for size in (limit - 100, limit, limit + 1)
    ]

    assert len(exact) > limit
    assert [answer.status_code for answer in answers] == [201, 201, 413]
    assert _error(answers[-1]) == (413, "PAYLOAD_TOO_LARGE")


def _padded(size: int) -> bytes:
    """A valid PNG of so many bytes: a text chunk of blanks before its end."""
    import zlib

    image = png(8, 8)
    blanks = b"Comment\0" + b" " * (size - len(image) - 12 - 8)
    body = b"tEXt" + blanks
    chunk = len(blanks).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return image[:-12] + chunk + image[-12:]


def test_reading_stops_where_it_is_too_large(depot: Any) -> None:
    """U1. The client sends for as long as somebody listens."""
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            + png(noise=4 * MiB)[:65536]
        )
        for _ in range(16 * 200):
            sent += 65536
            yield bytes(65536)

    with depot.client() as sender:
        try:
            answer = sender.post(
                "/documents",
                content=body(),
                headers={"Content-Type": "multipart/form-data; boundary=b"},
            )
        except httpx.WriteError:  # the connection ends while it still sends
            pass
        else:
            assert _error(answer) in {(413, "PAYLOAD_TOO_LARGE"), (422, "FILE_REJECTED")}

    assert sent < 100 * MiB


def test_a_length_that_is_too_large_is_refused_before_any_byte(depot: Any) -> None:
    parts = urlsplit(depot.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(
            b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n"
        )

        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b"", "multipart/form-data; boundary=b", 400, "MALFORMED_BODY"),
        (b"nonsense", "multipart/form-data; boundary=b", 400, "MALFORMED_BODY"),
        (b"nonsense", "multipart/form-data", 400, "MALFORMED_BODY"),
        (b"--b\r\n\r\nx", "multipart/form-data; boundary=b", 400, "MALFORMED_BODY"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "VALIDATION_FAILED"),
        (b"{}", "application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            EMPTY,  # an input of a form that was left empty: no file
            *("multipart/form-data; boundary=b", 422, "VALIDATION_FAILED"),
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
            *("multipart/form-data; boundary=b", 422, "VALIDATION_FAILED"),
        ),
    ],
)
@pytest.mark.parametrize("path", ["/documents", "/archives"])
def test_a_body_that_is_no_form_with_a_file_is_refused(
    client: httpx.Client, path: str, body: bytes, media_type: str, status: int, code: str
) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": media_type})

    assert _error(answer) == (status, code)
    if code == "VALIDATION_FAILED":
        assert [error["pointer"] for error in answer.json()["error"]["details"]] == ["/file"]


def test_a_second_file_is_refused(client: httpx.Client) -> None:
    """U9."""
    files = [("file", ("a.png", png(), "image/png")), ("file", ("b.png", png(), "image/png"))]

    answer = client.post("/documents", files=files)

    assert _error(answer) == (422, "VALIDATION_FAILED")


SECRET = "hunter2-and-some-more"


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
def test_no_refusal_repeats_what_was_sent(client: httpx.Client, accept: str) -> None:
    """E5."""
    content = png() + SECRET.encode()
    client.headers["Accept"] = accept
    answers = [
        _post(client, content, name=SECRET),
        _post(client, SECRET.encode(), name=SECRET),
        _post(client, png(), f"image/{SECRET}", name=SECRET),
        client.post("/documents", files={SECRET: (SECRET, png())}),
        client.post("/documents", data={SECRET: SECRET}),
    ]

    assert [answer.status_code >= 400 for answer in answers] == [True] * 5
    assert [answer.text for answer in answers if SECRET in answer.text + str(answer.headers)] == []


def test_a_browser_may_read_what_a_download_says(client: httpx.Client) -> None:
    path = _post(client, png()).headers["location"] + "/content"

    answer = client.get(path, headers={"Origin": "http://localhost:3000", "Range": "bytes=0-3"})

    exposed = answer.headers["access-control-expose-headers"].lower()
    wanted = ("content-disposition", "content-range", "accept-ranges", "etag", "x-job-id")
    assert [name for name in wanted if name not in exposed] == []


def test_other_requests_are_answered_while_files_come(client: httpx.Client, depot: Any) -> None:
    content = _padded(4 * MiB)
    stop = threading.Event()

    def send() -> None:
        with depot.client() as sender:
            while not stop.is_set():
                _post(sender, content)

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    with Pace() as pace:
        took = [client.get("/livez").elapsed.total_seconds() for _ in range(50)]
    stop.set()
    for sender in senders:
        sender.join()

    assert sorted(took)[len(took) // 2] < pace.stretched(0.5)
