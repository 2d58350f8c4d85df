"""What is received, and how it is told: over a real socket, into a real directory."""

import base64
import hashlib

import pytest

from uploads.conftest import body_of, part_of

TEXT = b"letters and more letters."


def digest(content: bytes, algorithm: str = "sha256") -> str:
    value = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return f"{algorithm.replace('sha', 'sha-')}=:{value}:"


def test_a_file_is_stored_as_it_was_sent(service):
    content = b"letters" + b"x" * 700_000 + b"."

    answer = service.upload(content, filename="report.letters")

    told = answer.json()
    assert (answer.status, told["size"], told["filename"]) == (201, len(content), "report.letters")
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert [path.read_bytes() for path in service.stored()] == [content]


def test_the_key_is_made_by_the_server(service):
    told = service.upload(TEXT, filename="../../etc/passwd").json()

    [path] = service.stored()
    assert path.resolve().is_relative_to(service.directory.resolve())
    assert "passwd" not in told["key"]
    assert told["filename"] == "passwd"


def test_the_body_may_be_cut_anywhere(service):
    body = body_of(part_of(TEXT))

    with service.client() as client:
        replies = [
            client.request("POST", "/documents", headers=service.headers, chunks=[*pieces])
            for pieces in (
                [body[n : n + size] for n in range(0, len(body), size)] for size in (1, 2, 7, 100)
            )
        ]

    assert [reply.status for reply in replies] == [201] * 4
    assert {reply.json()["sha256"] for reply in replies} == {hashlib.sha256(TEXT).hexdigest()}


def test_a_content_that_looks_like_the_boundary_is_content(service):
    content = b"letters\r\n--a-boundar\r\n--a-boundary-x and on\r\n--."

    answer = service.upload(content)

    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_raw_body_is_the_file(service):
    with service.client() as client:
        answer = client.request(
            "POST",
            "/raw",
            headers={
                "Content-Type": "text/x-letters",
                "Content-Disposition": "attachment; filename*=UTF-8''na%C3%AFve.letters",
            },
            body=TEXT,
        )

    assert answer.status == 201
    assert answer.json()["filename"] == "naïve.letters"
    assert answer.json()["sha256"] == hashlib.sha256(TEXT).hexdigest()


def test_several_files_come_in_their_order(service):
    contents = [b"letters %s." % name for name in (b"one", b"two", b"three")]

    answer = service.post("/several", body_of(*(part_of(content) for content in contents)))

    wanted = [hashlib.sha256(content).hexdigest() for content in contents]
    assert [told["sha256"] for told in answer.json()] == wanted


def test_fields_come_with_the_files(service):
    title = part_of("Été".encode(), name="title", filename=None, media_type=None)
    tags = [part_of(tag, name="tags", filename=None, media_type=None) for tag in (b"a", b"b")]

    answer = service.post("/form", body_of(title, part_of(TEXT), *tags))

    assert answer.status == 201
    assert answer.json()["fields"] == {"title": "Été", "tags": ["a", "b"]}
    assert len(answer.json()["files"]) == 1


def test_fields_that_do_not_fit_are_told_by_their_names_and_the_file_is_gone(service):
    answer = service.post("/form", body_of(part_of(TEXT)))

    assert (answer.status, answer.headers["x-error-code"]) == (422, "VALIDATION_FAILED")
    assert [d["pointer"] for d in answer.json()["error"]["details"]] == ["/title"]
    assert service.stored() == []


def test_a_field_with_a_character_that_databases_refuse_is_refused(service):
    title = part_of(b"a\0b", name="title", filename=None, media_type=None)

    answer = service.post("/form", body_of(title, part_of(TEXT)))

    assert answer.status == 422
    assert [d["code"] for d in answer.json()["error"]["details"]] == ["nul"]


def test_a_field_that_is_not_utf8_is_refused(service):
    title = part_of("Été".encode("latin-1"), name="title", filename=None, media_type=None)

    answer = service.post("/form", body_of(title, part_of(TEXT)))

    assert (answer.status, answer.headers["x-error-code"]) == (400, "MALFORMED_BODY")


@pytest.mark.parametrize("media_type", ["TEXT/X-Letters", "text/plain; charset=utf-8", None])
def test_a_declared_type_is_compared_without_case_and_parameters(service, media_type):
    assert service.upload(TEXT, media_type=media_type).status == 201


def test_an_unknown_declared_type_contradicts_nothing(service):
    answer = service.upload(TEXT, media_type="application/octet-stream")

    assert (answer.status, answer.json()["media_type"]) == (201, "text/x-letters")


def test_the_type_is_what_the_bytes_say(service):
    answer = service.upload(TEXT, media_type="image/png")

    assert (answer.status, answer.headers["x-error-code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert service.stored() == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
def test_content_that_is_what_its_digest_says_is_taken(service, field, algorithm):
    headers = f"{field}: {digest(TEXT, algorithm)}\r\n"

    assert service.post("/documents", body_of(part_of(TEXT, headers=headers))).status == 201


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("value", [digest(b"other"), digest(b"other", "sha512"), "sha-256=:x:"])
def test_content_that_is_not_what_its_digest_says_is_refused(service, field, value):
    answer = service.post("/documents", body_of(part_of(TEXT, headers=f"{field}: {value}\r\n")))

    assert (answer.status, answer.headers["x-error-code"]) == (400, "DIGEST_MISMATCH")
    assert service.stored() == []


def test_the_digest_of_a_raw_body_is_checked(service):
    headers = {"Content-Type": "text/x-letters", "Repr-Digest": digest(b"other")}
    with service.client() as client:
        answer = client.request("POST", "/raw", headers=headers, body=TEXT)

    assert (answer.status, answer.headers["x-error-code"]) == (400, "DIGEST_MISMATCH")


def test_the_digest_of_a_whole_multipart_body_is_checked(service):
    body = body_of(part_of(TEXT))

    right = service.post("/documents", body, Content_Digest=digest(body))
    wrong = service.post("/documents", body, Content_Digest=digest(TEXT))

    assert (right.status, wrong.status) == (201, 400)
    assert len(service.stored()) == 1


def test_digests_of_unknown_algorithms_are_passed_over(service):
    headers = "Content-Digest: md5=:AAAA:, sha-1=:AAAA:\r\n"

    assert service.post("/documents", body_of(part_of(TEXT, headers=headers))).status == 201


def test_a_route_that_runs_again_has_the_same_file(service):
    answer = service.upload(TEXT, "/again")

    assert (answer.status, answer.json()["run_again"]) == (201, True)
    assert [path.read_bytes() for path in service.stored()] == [TEXT]


def test_a_repeated_key_answers_for_the_first_file_and_reads_no_other_into_memory(service):
    headers = {"Content-Type": "text/x-letters", "Idempotency-Key": "one"}
    large = b"letters".ljust(64 * 2**20, b"x") + b"."
    with service.client(timeout=30) as client:
        client.request("POST", "/once", headers={**headers, "Idempotency-Key": "0"}, body=TEXT)
        before = service.memory()
        first = client.request("POST", "/once", headers=headers, body=large)
        repeated = client.request("POST", "/once", headers=headers, body=large)

    assert (first.status, repeated.status) == (201, 201)
    assert repeated.headers["idempotent-replayed"] == "true"
    assert repeated.json() == first.json()
    assert service.memory() - before < 16 * 2**20
    assert len(service.stored()) == 2


def test_a_body_that_was_read_and_kept_by_another_dependency_is_taken(service):
    assert service.upload(TEXT, "/read-before?keep=true").status == 201


def test_a_body_that_was_read_by_another_dependency_is_our_mistake(service):
    answer = service.upload(TEXT, "/read-before")

    assert (answer.status, answer.headers["x-error-code"]) == (500, "INTERNAL_ERROR")
    assert "has been read by something else" in service.log()


def test_a_mounted_application_is_told_how_requests_end(service):
    answer = service.upload(TEXT, "/mounted/documents")

    assert answer.status == 201
    assert len(service.stored()) == 1


def test_the_body_is_documented(service):
    schema = service.get("/openapi.json").json()

    content = schema["paths"]["/documents"]["post"]["requestBody"]["content"]
    form = content["multipart/form-data"]
    assert form["schema"]["required"] == ["file"]
    assert form["encoding"]["file"]["contentType"] == "text/x-letters"
    raw = schema["paths"]["/raw"]["post"]["requestBody"]["content"]
    assert list(raw) == ["text/x-letters"]
    answers = schema["paths"]["/documents"]["post"]["responses"]
    assert {"400", "408", "413", "415", "422", "503", "507"} <= set(answers)
