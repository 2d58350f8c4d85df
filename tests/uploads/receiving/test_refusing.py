"""What is refused, when, and that nothing of it is kept: FAILURES.md U1 to U6 and U9."""

import pytest

from uploads.conftest import BOUNDARY, body_of, part_of

KIB = 1024
MIB = 1024 * KIB
TEXT = b"letters and more letters."
EXPECT = {"Expect": "100-continue"}


def code(answer) -> tuple[int, str]:
    return answer.status, answer.headers["x-error-code"]


def send_until_answered(client, pieces, limit: int) -> int:
    """Send pieces until there is an answer, and return how many bytes that took."""
    sent = 0
    client.socket.settimeout(0.01)
    for piece in pieces:
        try:
            if client.socket.recv(1, 2):  # MSG_PEEK
                break
        except TimeoutError:
            pass
        client.socket.settimeout(10)
        client.write(piece)
        client.socket.settimeout(0.01)
        sent += len(piece)
        if sent >= limit:
            break
    client.socket.settimeout(10)
    return sent


# --- U1: too much ---------------------------------------------------------------------


def test_a_file_of_the_largest_size_is_taken_and_one_byte_more_is_not(service):
    fits, exceeds = (b"letters".ljust(MIB - 1 + more, b"x") + b"." for more in (0, 1))

    assert service.upload(fits).status == 201
    assert code(service.upload(exceeds)) == (413, "PAYLOAD_TOO_LARGE")
    assert len(service.stored()) == 1


def test_a_length_that_is_too_large_is_refused_before_the_body(service):
    with service.begin("/documents", 100 * MIB, **EXPECT) as client:
        answer = client.receive()

    assert code(answer) == (413, "PAYLOAD_TOO_LARGE")
    assert service.stored() == []


def test_reading_stops_where_an_undeclared_length_becomes_too_large(service):
    head = part_of(b"letters")[:-2]
    piece = b"%x\r\n%s\r\n" % (64 * KIB, b"x" * (64 * KIB))
    with service.client() as client:
        lines = {**service.headers, "Host": "x", "Transfer-Encoding": "chunked"}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        client.write(f"POST /documents HTTP/1.1\r\n{text}\r\n".encode())
        client.write(b"%x\r\n%s\r\n" % (len(head), head))

        sent = send_until_answered(client, [piece] * 1600, limit=100 * MIB)
        answer = client.receive()

    assert code(answer) == (413, "PAYLOAD_TOO_LARGE")
    assert sent < 8 * MIB  # the limit, and what sockets hold on both sides
    assert service.stored() == []


def test_each_file_is_limited_where_several_may_be_larger_together(service):
    answer = service.upload(b"letters".ljust(MIB, b"x") + b".", "/several")

    assert code(answer) == (413, "PAYLOAD_TOO_LARGE")
    assert service.stored() == []


def test_a_raw_body_that_is_too_large_is_refused_before_it_comes(service):
    typed = {"Content-Type": "text/x-letters"}
    with service.begin("/raw", MIB + 1, **EXPECT, **typed) as client:
        answer = client.receive()

    assert code(answer) == (413, "PAYLOAD_TOO_LARGE")  # and no 100 Continue


def test_all_files_of_a_body_together_are_limited(service):
    part = part_of(b"letters".ljust(700 * KIB, b"x") + b".")

    answer = service.post("/several", body_of(part, part, part))

    assert code(answer) == (413, "PAYLOAD_TOO_LARGE")
    assert service.stored() == []


def test_a_field_that_is_too_long_is_refused(service):
    field = part_of(b"x" * (2 * KIB), name="title", filename=None, media_type=None)

    assert code(service.post("/form", body_of(field))) == (413, "PAYLOAD_TOO_LARGE")


def test_what_is_under_way_is_limited(start_service):
    service = start_service(MAX_IN_FLIGHT=str(300 * KIB))

    small = service.upload(TEXT)
    large = service.upload(b"letters".ljust(600 * KIB, b"x") + b".")

    assert small.status == 201
    assert code(large) == (503, "SERVICE_UNAVAILABLE")
    assert "retry-after" in large.headers
    assert service.get("/in-flight").json() == 0
    assert len(service.stored()) == 1


# --- U2: who may ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "refused"),
    [
        ("/private", {}, 401),  # the dependency stands after the file
        ("/private?count=many", {"Authorization": "Bearer good"}, 422),
        ("/private-header", {}, 422),  # a dependency that cannot even be called
        ("/private-header", {"X-Token": "none"}, 422),
    ],
)
def test_nothing_is_read_before_all_else_is_right(service, path, headers, refused):
    with service.begin(path, 500 * KIB, **EXPECT, **headers) as client:
        answer = client.receive()

    assert answer.status == refused  # and no 100 Continue
    assert service.stored() == []


def test_the_body_is_asked_for_when_all_else_is_right(service):
    body = body_of(part_of(TEXT))
    good = {"Authorization": "Bearer good"}
    with service.begin("/private", len(body), **EXPECT, **good) as client:
        proceed = client.receive()
        client.write(body)
        answer = client.receive()

    assert (proceed.status, answer.status) == (100, 201)


# --- U3: no room ----------------------------------------------------------------------


def test_a_full_disk_is_told_as_such_and_logged_and_leaves_nothing(start_service, small_disk):
    service = start_service(small_disk / "files")
    whole = b"letters".ljust(700 * KIB, b"x") + b"."

    first, second, third = service.upload(whole), service.upload(whole), service.upload(TEXT)

    assert first.status == 201
    assert code(second) == (507, "INSUFFICIENT_STORAGE")
    assert third.status == 201
    assert "No space left" in service.log()
    assert len(service.stored()) == 2


# --- U4: many files -------------------------------------------------------------------


def test_a_second_file_is_refused_where_one_is_wanted(service):
    answer = service.post("/documents", body_of(part_of(TEXT), part_of(TEXT)))

    assert code(answer) == (422, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"][0]["code"] == "too_many_files"
    assert service.stored() == []


def test_a_thousand_files_take_little_memory(service):
    content = b"letters".ljust(2 * KIB - 1, b"x") + b"."
    service.post("/several", body_of(part_of(TEXT)))
    before = service.memory()

    answer = service.post("/several", body_of(*[part_of(content)] * 1000))

    assert answer.status == 201
    assert service.memory() - before < 32 * MIB
    assert len(service.stored()) == 1001


def test_too_many_fields_are_refused(service):
    field = part_of(b"x", name="title", filename=None, media_type=None)

    answer = service.post("/form", body_of(*[field] * 4))

    assert code(answer) == (422, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"][0]["code"] == "too_many_fields"


# --- U5: what it is -------------------------------------------------------------------


def test_what_an_inspector_rejects_is_told_by_its_reason(service):
    answer = service.upload(b"letters".ljust(300 * KIB, b"x") + b"7.")

    assert code(answer) == (422, "FILE_REJECTED")
    error = answer.json()["error"]
    assert (error["message"], error["details"]) == (
        "It has a seven in it.",
        [{"reason": "a_seven"}],
    )
    assert service.stored() == []


def test_a_file_that_is_not_whole_is_rejected(service):
    assert code(service.upload(b"letters without an end")) == (422, "FILE_REJECTED")
    assert service.stored() == []


def test_an_empty_file_is_rejected(service):
    assert code(service.upload(b"")) == (422, "FILE_REJECTED")


def test_the_type_is_refused_within_the_first_4_kib(service):
    head = part_of(b"<html>" + b"x" * (4 * KIB))[:-2]
    with service.begin("/documents", 500 * KIB) as client:
        client.write(head)
        answer = client.receive()

    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert service.stored() == []


# --- U6 and U9: what else clients send ------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=", b"x", 400),
        ("multipart/form-data; boundary=" + "x" * 100, b"x", 400),
        ("multipart/mixed; boundary=a-boundary", b"x", 415),
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=a-boundary", b"", 400),
        ("multipart/form-data; boundary=a-boundary", b"no boundary at all", 400),
        ("multipart/form-data; boundary=a-boundary", part_of(TEXT), 400),
        ("multipart/form-data; boundary=a-boundary", b"--a-boundary--\r\n", 422),
        (
            "multipart/form-data; boundary=a-boundary",
            b"--a-boundary\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a-boundary--\r\n",
            400,
        ),
        (
            "multipart/form-data; boundary=a-boundary",
            b"--a-boundary\r\n" + b"X-Long: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--a-boundary--\r\n",
            400,
        ),
    ],
)
def test_a_body_that_is_no_form_is_refused_in_the_contract(service, content_type, body, status):
    with service.client() as client:
        answer = client.request(
            "POST", "/documents", headers={"Content-Type": content_type}, body=body
        )

    assert answer.status == status
    assert "x-error-code" in answer.headers
    assert service.stored() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (f"X-Long: {'y' * 8000}\r\n", 201),
        (f"X-Long: {'y' * 8200}\r\n", 400),
        ("".join(f"X-{n}: y\r\n" for n in range(14)), 201),  # with two that each part has
        ("".join(f"X-{n}: y\r\n" for n in range(15)), 400),
    ],
)
def test_the_headers_of_a_part_are_limited_in_length_and_number(service, headers, status):
    answer = service.post("/documents", body_of(part_of(TEXT, headers=headers)))

    assert answer.status == status
    assert len(service.stored()) == (status == 201)


@pytest.mark.parametrize(("length", "status"), [(70, 201), (71, 400)])
def test_a_boundary_has_at_most_70_characters(service, length, status):
    boundary = "b" * length
    body = body_of(part_of(TEXT)).replace(BOUNDARY.encode(), boundary.encode())
    typed = f"multipart/form-data; boundary={boundary}"

    assert service.post("/documents", body, Content_Type=typed).status == status


def test_no_body_at_all_is_refused(service):
    with service.client() as client:
        answer = client.request("POST", "/documents", headers={"Content-Length": "0"})

    assert code(answer) == (400, "MALFORMED_BODY")


def test_a_compressed_body_is_refused(service):
    answer = service.post("/documents", body_of(part_of(TEXT)), Content_Encoding="gzip")

    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_file_in_another_field_is_refused(service):
    answer = service.post("/documents", body_of(part_of(TEXT), part_of(TEXT, name="other")))

    assert code(answer) == (422, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"][0]["code"] == "unexpected_file"
    assert service.stored() == []


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("../../../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\\\x\\\\evil.letters", "evil.letters"),
        ("a\tb\x1b[31m.letters", None),
        ("invoice\u202egnp.letters", "invoicegnp.letters"),
        (b"\xff\xfe.letters", None),
        ("", "file.letters"),
        ("..", "file.letters"),
        ("n" * 3000 + ".letters", None),
    ],
)
def test_a_name_is_harmless_when_it_is_shown(service, filename, shown):
    told = service.upload(TEXT, filename=filename).json()["filename"]

    assert shown is None or told == shown
    assert told.isprintable()
    assert len(told.encode()) <= 255
    assert not {"/", "\\"} & set(told)
