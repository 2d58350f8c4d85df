"""Files are looked at while they pass, and made anew, before they are there for anybody."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.polling import until
from support.server import Server
from uploads.conftest import TESTS, Service, body_of, part_of

KIB = 1024


@pytest.fixture
def service(serve: Callable[..., Server], tmp_path: Path) -> Service:
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(TESTS)]))
    env = {"PYTHONPATH": path, "FILES": str(tmp_path / "files")}
    return Service(
        serve("uploads.checking_service:create_app", factory=True, env=env), tmp_path / "files"
    )


def code(answer) -> tuple[int, str]:
    return answer.status, answer.headers["x-error-code"]


@pytest.mark.parametrize("path", ["/checked", "/louder"])
def test_a_check_sees_the_whole_file(service, path):
    answer = service.upload(b"letters".ljust(700 * KIB - 1, b"x") + b".", path)

    assert answer.status == 201
    assert service.get("/counts").json() == {"looking": 0, "seen": 700 * KIB}


@pytest.mark.parametrize("path", ["/checked", "/louder"])
@pytest.mark.parametrize("found", ["worm", "virus"])
def test_what_a_check_rejects_is_not_kept(service, path, found):
    answer = service.upload(b"letters with a " + found.encode() + b".", path)

    assert code(answer) == (422, "FILE_REJECTED")
    assert answer.json()["error"]["details"] == [{"reason": found}]
    assert service.stored() == []
    assert service.get("/counts").json()["looking"] == 0


@pytest.mark.parametrize("path", ["/checked", "/louder"])
def test_what_a_check_cannot_tell_is_not_kept(service, path):
    answer = service.upload(b"letters from far away.", path)

    assert code(answer) == (503, "SERVICE_UNAVAILABLE")
    assert service.stored() == []
    assert service.get("/counts").json()["looking"] == 0


def test_nothing_is_looked_at_any_more_when_its_client_has_left(service):
    body = body_of(part_of(b"letters".ljust(700 * KIB - 1, b"x") + b"."))
    with service.begin("/checked", len(body)) as client:
        client.write(body[: 500 * KIB])
        until(lambda: service.get("/counts").json()["looking"] == 1)

    until(lambda: service.get("/counts").json()["looking"] == 0)


def test_what_a_conversion_made_is_kept_instead_of_what_was_sent(service):
    told = service.upload(b"letters and more.", "/louder").json()

    assert [path.read_bytes() for path in service.stored()] == [b"LETTERS AND MORE."]
    assert (told["filename"], told["media_type"]) == ("a.capitals", "text/x-capitals")
    assert told["sha256"] == hashlib.sha256(b"LETTERS AND MORE.").hexdigest()
    assert told["size_bytes"] == 17


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"letters to be quiet.", "quiet"), (b"letters without an end", "truncated")],
)
def test_what_cannot_be_converted_is_not_kept(service, content, reason):
    answer = service.upload(content, "/louder")

    assert code(answer) == (422, "FILE_REJECTED")
    assert answer.json()["error"]["details"] == [{"reason": reason}]
    assert service.stored() == []
