"""A service as it was written, served by uvicorn, and asked over a socket."""

import os
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest

from support.emptied import database_on
from support.forked import run as forked_run
from support.generated import Choice, Generated
from support.polling import until
from support.server import Server

JSON = {"Content-Type": "application/json"}


CASES = [
    pytest.param((False, False), id="sqlite-async"),
    pytest.param((True, True), id="postgresql-sync"),
    pytest.param((False, True), id="sqlite-sync", marks=pytest.mark.soak),
    pytest.param((True, False), id="postgresql-async", marks=pytest.mark.soak),
]


class Served(NamedTuple):
    """A service with each part, whose tables are made, and what starts a server of it."""

    service: Generated
    url: str
    start: Callable[[], Server]


@contextmanager
def migrated(folder: Path, url: str, *, sync: bool) -> Iterator[Served]:
    """Yield a service after `alembic upgrade head`; its servers end with it."""
    parts = ("jobs", "uploads", "console")
    service = Generated(folder, Choice(parts, postgresql=url.startswith("postgresql"), sync=sync))
    environment = service.environment(DATABASE_URL=url, OPS_TOKEN="only-operators")
    done = forked_run(
        service.command("alembic", "upgrade", "head"),
        cwd=service.root,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    app = f"{service.package}.app:create_app"
    command = service.command("uvicorn", "--port", "0", "--factory", app)
    servers: list[Server] = []

    def start() -> Server:
        log = folder / f"server-{len(servers)}.log"
        servers.append(Server(command, log=log, env=environment, cwd=service.root))
        return servers[-1]

    try:
        yield Served(service, url, start)
    finally:
        for server in servers:
            server.stop()


@contextmanager
def database(request: pytest.FixtureRequest, folder: Path, *, postgresql: bool) -> Iterator[str]:
    if not postgresql:
        yield f"sqlite:///{folder / 'test.db'}"
        return
    with database_on(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture(params=CASES)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A service of its own, for a test that ends it, or takes its database away."""
    postgresql, sync = request.param
    with (
        database(request, tmp_path, postgresql=postgresql) as url,
        migrated(tmp_path, url, sync=sync) as service,
    ):
        yield service


@pytest.fixture(scope="module", params=CASES)
def shared(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Served]:
    """A service for tests that leave others alone: each has ids of its own."""
    postgresql, sync = request.param
    folder = tmp_path_factory.mktemp("shared")
    with (
        database(request, folder, postgresql=postgresql) as url,
        migrated(folder, url, sync=sync) as service,
    ):
        yield service


@pytest.fixture(scope="module")
def client(shared: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shared.start().url, timeout=60) as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json()["error"]["code"] if answer.is_error else None


def test_a_resource_is_created_read_and_changed(client):
    made = client.post("/resources", json={"metadata": {"size": {"w": 1}, "hue": "red"}})
    place = made.headers["Location"]
    assert made.status_code == 201
    assert place == f"/resources/{made.json()['id']}"

    changed = client.patch(place, json={"metadata": {"size": {"h": 2}, "hue": None}})
    wanted = {"status": "new", "metadata": {"size": {"w": 1, "h": 2}}}
    assert changed.json() == wanted | {"id": made.json()["id"]}
    assert client.get(place).json() == changed.json()
    known = {"If-None-Match": changed.headers["ETag"]}
    assert client.get(place, headers=known).status_code == 304


def test_what_is_refused_says_why_in_one_shape(client):
    place = client.post("/resources", json={"id": "only"}).headers["Location"]

    assert code(client.post("/resources", json={"id": "only"})) == (409, "CONFLICT")
    for body in ({"status": None}, {"metadata": None}, {"id": "two"}, {"sort": 1}, {"status": ""}):
        assert code(client.patch(place, json=body)) == (422, "VALIDATION_FAILED"), body
    assert code(client.patch(place, json={})) == (400, "EMPTY_PATCH")
    assert code(client.patch(place, content=b"{", headers=JSON)) == (400, "MALFORMED_BODY")
    for gone in ("two", "%F0%9F%98%80", "x" * 3000):
        assert code(client.get(f"/resources/{gone}")) == (404, "RESOURCE_NOT_FOUND"), gone[:9]
        assert code(client.patch(f"/resources/{gone}", json={"status": "a"}))[0] == 404
    # PostgreSQL has no texts with NUL, and the library says so; SQLite has.
    assert code(client.get("/resources/a%00b"))[0] in {404, 422}
    assert code(client.get("/nowhere")) == (404, "NOT_FOUND")
    for refused in ("", "-a", "a/b", "x" * 37):
        assert code(client.post("/resources", json={"id": refused}))[0] == 422
    assert code(client.post("/resources", content=b"[" * 1_100_000, headers=JSON)) == (
        413,
        "PAYLOAD_TOO_LARGE",
    )
    assert client.get(place).json() == {"id": "only", "status": "new", "metadata": {}}


def test_of_writers_with_one_etag_one_wins(client):
    made = client.post("/resources", json={})
    seen = {"If-Match": made.headers["ETag"]}
    place = made.headers["Location"]

    def write(number: int) -> tuple[int, str | None]:
        return code(client.patch(place, json={"status": f"of {number}"}, headers=seen))

    with ThreadPoolExecutor(8) as threads:
        answers = sorted(threads.map(write, range(16)))

    assert answers == [(200, None), *[(412, "PRECONDITION_FAILED")] * 15]
    assert client.get(place).headers["ETag"] == '"2"'


def test_a_job_outlives_the_server_that_took_it(served):
    server = served.start()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        client.post("/resources", json={"id": "one"})
        assert code(client.post("/process", json={"resource_id": "two"}))[0] == 404
        with held(served.url):
            accepted = [client.post("/process", json={"resource_id": "one"}) for _ in range(20)]
            server.send_signal(signal.SIGKILL)
            server.wait()
    assert [answer.status_code for answer in accepted] == [202] * 20

    with httpx.Client(base_url=served.start().url, timeout=60) as client:
        for answer in accepted:
            until(
                lambda a=answer: client.get(a.headers["Location"]).json()["status"] == "succeeded"
            )
        one = client.get("/resources/one")
        assert one.json()["status"] == "processed"
        assert one.headers["ETag"] == '"21"', "each job was done once"
        assert code(client.get("/jobs/none")) == (404, "NOT_FOUND")


class held:
    """Let no job finish meanwhile: on PostgreSQL, where a reader needs no lock."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url) if url.startswith("postgresql") else None

    def __enter__(self) -> None:
        if self._connection:
            self._connection.execute("LOCK TABLE resources IN SHARE ROW EXCLUSIVE MODE")

    def __exit__(self, *error: object) -> None:
        if self._connection:
            self._connection.close()


def png(*, behind: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + behind


def test_an_upload_is_judged_by_its_bytes(client, shared):
    kept = client.post("/upload", files={"file": ("../../a.exe", png(), "image/png")})
    back = client.get(kept.headers["Location"])
    assert (kept.status_code, kept.json()["media_type"]) == (201, "image/png")
    assert back.content == png()
    assert back.headers["Content-Disposition"].startswith("attachment")

    def sent(content: bytes) -> tuple[int, str | None]:
        return code(client.post("/upload", files={"file": ("a.png", content, "image/png")}))

    assert sent(b"<html><script>") == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert sent(b"\xff\xd8\xff\xe0" + bytes(900)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert sent(png(behind=bytes(8_000_000))) == (413, "PAYLOAD_TOO_LARGE")
    assert sent(png(behind=b"PK\3\4")) == (422, "FILE_REJECTED")
    assert code(client.get("/uploads/00/none")) == (404, "NOT_FOUND")
    assert len([path for path in (shared.service.root / "files").rglob("*") if path.is_file()]) == 1


def test_files_without_a_row_are_gone_after_a_start(served):
    lost = served.service.root / "files/ab" / ("ab" * 16)
    lost.parent.mkdir(parents=True)
    lost.touch()
    os.utime(lost, (0, 0))

    served.start()

    assert not lost.exists()


def test_the_console_is_for_operators(client):
    token = {"Authorization": "Bearer only-operators"}

    assert client.get("/ops", headers=token).status_code == 200
    assert client.get("/ops").status_code == 404
    assert client.get("/ops", headers={"Authorization": "Bearer x"}).status_code == 404


def test_probes_follow_the_database(served):
    if not served.url.startswith("postgresql"):
        pytest.skip("a SQLite file is never away")
    server = served.start()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/health").json()["status"] == "healthy"
        with away(served.url):
            until(lambda: client.get("/readyz").status_code == 503)
            assert client.get("/livez").status_code == 200
            assert client.get("/health").json()["status"] == "unhealthy"
            assert code(client.get("/resources/one")) == (503, "SERVICE_UNAVAILABLE")
        until(lambda: client.get("/readyz").status_code == 200)


class away:
    """Let nobody into a database meanwhile."""

    def __init__(self, url: str) -> None:
        self._server, _, self._name = url.rpartition("/")

    def __enter__(self) -> None:
        self._allow("false")
        self._execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'"
        )

    def __exit__(self, *error: object) -> None:
        self._allow("true")

    def _allow(self, whether: str) -> None:
        self._execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS {whether}')

    def _execute(self, sql: str) -> None:
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(sql)


def test_a_commit_that_the_database_refuses_is_no_success(served):
    if not served.url.startswith("postgresql"):
        pytest.skip("SQLite has no triggers that fire at the commit")
    with psycopg.connect(served.url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON resources "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    with httpx.Client(base_url=served.start().url, timeout=60) as client:
        place = client.post("/resources", json={"id": "one"}).headers["Location"]

        assert client.patch(place, json={"status": "lost"}).status_code == 500
        assert client.get(place).json()["status"] == "new"


def test_the_contract_says_what_is_answered(client):
    paths = client.get("/openapi.json").json()["paths"]

    def answers(method: str, path: str) -> set[str]:
        return set(paths[path][method]["responses"])

    assert {"200", "404", "412", "422"} <= answers("patch", "/resources/{resource_id}")
    assert {"200", "304", "404"} <= answers("get", "/resources/{resource_id}")
    assert {"201", "409", "422"} <= answers("post", "/resources")
    assert {"202", "404"} <= answers("post", "/process")
    assert {"201", "413", "415", "422"} <= answers("post", "/upload")
    assert {"200", "404"} <= answers("get", "/jobs/{job_id}")
