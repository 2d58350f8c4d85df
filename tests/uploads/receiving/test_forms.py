"""Forms as clients send them: empty inputs, encodings, boundaries and names of all kinds."""

from itertools import pairwise

import aiohttp
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadworthy.uploads.receiving.multipart import MultipartReader, Part
from uploads.conftest import BOUNDARY, body_of, part_of

TEXT = b"letters and more letters."
OCTETS = "application/octet-stream"
TITLE = part_of(b"a", name="title", filename=None, media_type=None)


def raw_part(disposition: str, content: bytes = b"", *lines: str) -> bytes:
    head = "\r\n".join([f"Content-Disposition: form-data; {disposition}", *lines])
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


EMPTY = raw_part('name="file"; filename=""', b"", f"Content-Type: {OCTETS}")
ELSEWHERE = raw_part('name="avatar"; filename=""', b"", f"Content-Type: {OCTETS}")
FILE = part_of(TEXT)


# --- an input that was left empty -----------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "files"),
    [
        ([EMPTY], []),
        ([EMPTY, FILE], ["a.letters"]),
        ([FILE, EMPTY], ["a.letters"]),
        ([EMPTY, FILE, EMPTY], ["a.letters"]),
        ([ELSEWHERE, FILE], ["a.letters"]),
        ([FILE, ELSEWHERE, EMPTY], ["a.letters"]),
        ([EMPTY] * 4, []),
        ([raw_part("name=file; filename=", b"", f"Content-Type: {OCTETS}")], []),
        ([raw_part("name=file; filename*=UTF-8''", b"")], []),
        ([raw_part("name=file; filename=\"\"; filename*=utf-8''", b"")], []),
        ([raw_part('name="file"; filename=""', b"", "Content-Type: text/x-letters")], []),
        ([raw_part('name="file"; filename=""', b"")], []),
        ([raw_part('name="file"', b"")], []),
    ],
)
def test_an_input_that_was_left_empty_is_no_file(service, parts, files):
    answer = service.post("/form", body_of(TITLE, *parts))

    assert answer.status == 201, answer.text
    assert [file["filename"] for file in answer.json()["files"]] == files
    assert answer.json()["fields"]["title"] == "a"


@pytest.mark.parametrize("path", ["/documents", "/several"])
@pytest.mark.parametrize("parts", [[], [EMPTY], [ELSEWHERE], [EMPTY, ELSEWHERE]])
def test_where_a_file_is_needed_an_empty_input_is_a_missing_file(service, path, parts):
    answer = service.post(path, body_of(*parts))

    told = answer.json()["error"]
    assert (answer.status, told["code"]) == (422, "VALIDATION_FAILED")
    assert [(one["pointer"], one["code"]) for one in told["details"]] == [("/file", "missing")]


def test_an_empty_file_with_a_name_is_rejected(service):
    answer = service.post("/form", body_of(TITLE, part_of(b"")))

    assert (answer.status, answer.headers["x-error-code"]) == (422, "FILE_REJECTED")
    assert answer.json()["error"]["details"] == [{"reason": "empty"}]


@pytest.mark.parametrize("disposition", ['name="file"; filename=""', 'name="file"'])
def test_bytes_without_a_name_are_a_file(service, disposition):
    answer = service.post("/documents", body_of(raw_part(disposition, TEXT)))

    assert (answer.status, answer.json()["filename"]) == (201, "file.letters")


def test_bytes_without_a_name_in_another_input_are_not_expected(service):
    unexpected = raw_part('name="avatar"; filename=""', b"x")

    answer = service.post("/form", body_of(TITLE, unexpected, FILE))

    assert answer.status == 422
    assert answer.json()["error"]["details"][0]["code"] == "unexpected_file"
    assert service.stored() == []


def test_one_file_too_many_is_refused_and_empty_inputs_are_none(service):
    assert service.post("/documents", body_of(FILE, EMPTY, EMPTY)).status == 201
    answer = service.post("/documents", body_of(EMPTY, FILE, FILE))

    assert answer.json()["error"]["details"][0]["code"] == "too_many_files"


@pytest.mark.parametrize("part", [EMPTY, ELSEWHERE, raw_part("name=file")])
def test_ten_thousand_empty_inputs_are_bounded_as_fields_are(service, part):
    with service.client(timeout=30) as client:
        answer = client.request(
            "POST", "/documents", headers=service.headers, chunks=[part * 10_000]
        )

    assert answer.status == 422
    assert answer.json()["error"]["details"][0]["code"] == "too_many_fields"


def test_httpx_sends_an_empty_input_and_gets_no_file(service):
    answer = httpx.post(
        f"{service.server.url}/form",
        data={"title": "a"},
        files={"file": ("", b"")},
        trust_env=False,
    )

    assert (answer.status_code, answer.json()["files"]) == (201, [])


# --- encodings ------------------------------------------------------------------------

CODINGS = ["base64", "BASE64", "  base64\t", "quoted-printable", "Quoted-Printable", "x-uuencode"]


@pytest.mark.parametrize("coding", [*CODINGS, "x-own", "7bit, base64", "binary;"])
@pytest.mark.parametrize("name", ["file", "title"])
def test_a_part_in_letters_is_refused_by_the_name_of_its_encoding(service, coding, name):
    line = f"Content-Transfer-Encoding: {coding}"
    filename = '; filename="a.letters"' if name == "file" else ""
    part = raw_part(f'name="{name}"{filename}', b"bGV0dGVycy4=", line)

    answer = service.post("/form", body_of(TITLE, part))

    told = answer.json()["error"]
    assert (answer.status, told["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert told["details"] == [{"reason": "content_transfer_encoding"}]
    assert "Content-Transfer-Encoding" in told["message"]
    if coding in CODINGS:
        assert coding.strip().lower() in told["message"]
    assert "x-own" not in answer.text  # nothing that a client sent is repeated
    assert service.stored() == []


def test_two_transfer_encodings_are_refused_in_any_order(service):
    lines = ["Content-Transfer-Encoding: base64", "content-transfer-encoding: binary"]
    for ordered in (lines, lines[::-1]):
        part = raw_part('name="file"; filename="a"', b"bGV0dGVycy4=", *ordered)
        assert service.post("/documents", body_of(part)).status == 415


@pytest.mark.parametrize("coding", ["7bit", "8BIT", " binary ", "Binary", ""])
def test_a_part_as_it_is_is_taken(service, coding):
    line = f"Content-Transfer-Encoding: {coding}"
    title = raw_part('name="title"', "Grüße".encode(), line)
    file = raw_part('name="file"; filename="a.letters"', TEXT, line)

    answer = service.post("/form", body_of(title, file))

    assert answer.status == 201
    assert answer.json()["fields"]["title"] == "Grüße"
    assert answer.json()["files"][0]["size"] == len(TEXT)


def test_what_looks_like_base64_is_kept_as_it_is(service):
    title = part_of(b"bGV0dGVycy4=", name="title", filename=None, media_type=None)

    answer = service.post("/form", body_of(title))

    assert answer.json()["fields"]["title"] == "bGV0dGVycy4="


@pytest.mark.parametrize("header", ["Content-Encoding", "Content-Transfer-Encoding"])
@pytest.mark.parametrize("path", ["/raw", "/documents"])
def test_a_whole_body_that_is_encoded_is_refused_by_name(service, header, path):
    coding = "gzip" if header == "Content-Encoding" else "base64"
    typed = service.headers if path == "/documents" else {"Content-Type": "text/x-letters"}
    with service.client() as client:
        answer = client.request("POST", path, headers={**typed, header: coding}, body=TEXT)

    assert answer.status == 415
    assert header in answer.json()["error"]["message"]
    assert coding in answer.json()["error"]["message"]
    assert service.stored() == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, br", "x"])
def test_a_compressed_body_is_told_what_is_taken(service, coding):
    answer = service.post("/documents", body_of(FILE), Content_Encoding=coding)

    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
    assert answer.json()["error"]["details"] == [{"reason": "content_encoding"}]


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_is_not_compressed_is_taken(service, coding):
    assert service.post("/documents", body_of(FILE), Content_Encoding=coding).status == 201


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("UTF-8", "utf-8"),
        ("us-ascii", "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ('"windows-1252"', "cp1252"),
        ("iso-8859-15", "iso8859-15"),
        ("utf-16le", "utf-16-le"),
    ],
)
def test_a_field_is_decoded_as_its_part_says(service, charset, encoding):
    line = f"Content-Type: text/plain; charset={charset}"
    title = raw_part('name="title"', "Grüße".encode(encoding), line)

    assert service.post("/form", body_of(title)).json()["fields"]["title"] == "Grüße"


@pytest.mark.parametrize("at", [0, 1])
def test_a_form_may_name_the_encoding_of_all_its_fields(service, at):
    parts = [raw_part('name="title"', "5 €".encode("cp1252"))]
    parts.insert(at, raw_part('name="_charset_"', b"windows-1252"))

    assert service.post("/form", body_of(*parts)).json()["fields"]["title"] == "5 €"


@pytest.mark.parametrize("charset", ["utf-7", "rot13", "base64", "klingon", "x" * 99, "../a"])
def test_an_encoding_that_is_not_known_is_refused(service, charset):
    title = raw_part('name="title"', b"a", f"Content-Type: text/plain; charset={charset}")

    answer = service.post("/form", body_of(title))

    assert (answer.status, answer.headers["x-error-code"]) == (400, "MALFORMED_BODY")


# --- boundaries -----------------------------------------------------------------------


def told_by(body: bytes, boundary: str, *cuts: int) -> list[object]:
    """Return what a reader tells of a body that is cut at these places."""
    reader = MultipartReader(f"multipart/form-data; boundary={boundary}", {})
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    told: list[object] = []
    for start, end in pairwise(places):
        told += [_plain(event) for event in reader.feed(body[start:end])]
    told += reader.finish()
    return told


def _plain(event: object) -> object:
    if isinstance(event, Part):
        return event.name
    return event.tobytes() if isinstance(event, memoryview) else "end"


def content_of(told: list[object]) -> list[object]:
    joined: list[object] = []
    for one in told:
        if isinstance(one, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += one
        elif one != b"":
            joined.append(one)
    return joined


BOUNDARIES = ["X", '"a b:c/d"', "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a=b", "'(_,./:=?)+x'"]
BOUNDARIES += ["-" * 60, '"--"', "x" * 70, '"a\'b"']


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("padding", [b"", b" ", b"\t  "])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"for readers of mail\r\n"])
@given(cuts=st.lists(st.integers(0, 500), max_size=8))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_boundaries_of_all_kinds_are_found_wherever_they_are_cut(boundary, padding, before, cuts):
    line = b"--" + boundary.strip('"').encode()
    head = b'Content-Disposition: form-data; name="%s"\r\n\r\n'
    content = b"x\r\n" + line[:-1] + b"\r\n-- "
    body = before + line + padding + b"\r\n" + head % b"a" + content + b"\r\n"
    body += line + padding + b"\r\n" + head % b"b" + b"\r\n" + line + b"--" + padding + b"\r\nafter"

    assert content_of(told_by(body, boundary, *cuts)) == ["a", content, "end", "b", "end"]


def test_a_body_without_a_boundary_is_refused_early(service):
    with service.client() as client:
        answer = client.request(
            "POST", "/documents", headers=service.headers, chunks=[b"x" * 20_000]
        )

    assert (answer.status, answer.headers["x-error-code"]) == (400, "MALFORMED_BODY")


# --- names ----------------------------------------------------------------------------

NAMES = [
    "plain.letters",
    "naïve ☃.letters",
    "a b (1), c.letters",
    "100 % é.letters",
    "日本.letters",
]


@pytest.mark.parametrize("name", NAMES)
async def test_aiohttp_percent_encodes_names_and_they_are_understood(service, name):
    form = aiohttp.FormData()
    form.add_field("title", "a")
    form.add_field("file", TEXT, filename=name, content_type="text/x-letters")
    url = f"{service.server.url}/form"

    async with aiohttp.ClientSession() as session, session.post(url, data=form) as answer:
        told = await answer.json()

    assert [file["filename"] for file in told["files"]] == [name]
