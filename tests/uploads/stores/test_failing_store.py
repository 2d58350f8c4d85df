"""A store that fails is not the client's fault, and changes no answer that was given already."""

from collections.abc import Callable, Iterator

import pytest

from uploads.conftest import Service, body_of, part_of

KIB = 1024
TEXT = b"letters and more letters."

Failing = Callable[..., None]


@pytest.fixture
def failing(service: Service) -> Iterator[Failing]:
    """Let the store fail at these from now on."""

    def fail(*names: str) -> None:
        query = "&".join(f"name={name.replace(' ', '%20')}" for name in names)
        with service.client() as client:
            assert client.request("POST", f"/faults?{query}").status == 200

    yield fail
    fail()


def code(answer) -> tuple[int, str]:
    return answer.status, answer.headers["x-error-code"]


@pytest.mark.parametrize("name", ["write", "commit"])
def test_a_store_that_is_away_is_answered_503_and_logged(service, failing, name):
    failing(name)

    answer = service.upload(TEXT)

    assert code(answer) == (503, "SERVICE_UNAVAILABLE")
    assert f"the store is away: {name}" in service.log()
    assert service.stored() == []
    assert service.get("/in-flight").json() == 0


def test_a_file_that_was_kept_without_anybody_being_told_is_removed(service, failing):
    failing("answer of commit")

    answer = service.upload(TEXT)

    assert code(answer) == (503, "SERVICE_UNAVAILABLE")
    assert service.stored() == []


def test_a_client_is_told_why_it_was_refused_though_the_store_fails_after_that(service, failing):
    failing("delete")

    answer = service.post("/several", body_of(part_of(TEXT), part_of(b"no")))

    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "the store failed to remove a file that was not kept" in service.log()
    assert service.get("/in-flight").json() == 0


@pytest.mark.parametrize("fail", ["refuse", "answer"])
def test_a_refusal_stays_one_though_its_file_cannot_be_removed(service, failing, fail):
    failing("delete")

    answer = service.upload(TEXT, f"/documents?fail={fail}")

    assert answer.status == 409
    assert "work that follows the request failed" in service.log()


def test_what_could_not_be_removed_is_removed_by_the_sweep(service, failing):
    failing("delete")
    service.upload(TEXT, "/documents?fail=refuse")
    left = len(service.stored())

    failing()
    with service.client() as client:
        swept = client.request("POST", "/sweep").json()

    assert (left, swept, service.stored()) == (1, 1, [])
