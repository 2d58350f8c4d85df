"""An application is started, stopped and started again; two live in one process."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount

from roadworthy import limits, problems, tables
from roadworthy.database import Database, Tx
from roadworthy.health import Health
from roadworthy.jobs import Jobs, task
from roadworthy.lifespan import lifespan
from roadworthy.observability import RequestLog, Telemetry
from roadworthy.uploads.stores.disk import Disk

ran: list[str] = []


@task
async def note(word: str) -> None:
    ran.append(word)


def make_app(folder: Path) -> FastAPI:
    """Make an application with every part there is."""
    database = Database(f"sqlite:///{folder}/app.db")
    health, telemetry = Health(version="1"), Telemetry()
    health.add("database", database.ping)

    @asynccontextmanager
    async def migrated(into: Database) -> AsyncGenerator[None]:
        async with into.begin() as tx:
            await (await tx.connection()).run_sync(tables.metadata.create_all)
        yield

    jobs = Jobs(database, tasks=[note])
    app = FastAPI(
        telemetry=telemetry.options(),
        lifespan=lifespan(database, migrated(database), Disk(folder / "files"), jobs, health),
    )
    limits.install(app, time=timedelta(seconds=20), at_most=50)
    health.install(app)
    problems.install(app, observe=RequestLog())
    telemetry.install(app)

    @app.post("/notes")
    async def add(tx: Tx) -> None:
        await note.enqueue(tx, "a")

    return app


def use(client: TestClient) -> None:
    assert client.post("/notes").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert client.get("/nowhere").json()["error"]["code"] == "NOT_FOUND"
    assert 'http_route="/notes"' in client.get("/metrics").text


def test_all_parts_are_started_three_times(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    for _ in range(3):
        with TestClient(app) as client:
            use(client)


def test_two_applications_live_in_one_process_at_once(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = map(make_app, folders)
    for _ in range(2):
        with TestClient(one) as first, TestClient(two) as second:
            use(first)
            use(second)
        with TestClient(two) as second:
            use(second)


def test_what_is_refused_at_the_first_start_is_refused_at_the_second() -> None:
    app = FastAPI()
    Telemetry().install(app)

    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"add problems\.install\(app\)"), TestClient(app):
            pass


def test_health_knows_nothing_of_the_start_before(tmp_path: Path) -> None:
    answers = iter(["down", None])
    health = Health(version="1")

    async def ask() -> None:
        if next(answers, None):
            raise OSError

    health.add("disk", ask)
    app = FastAPI(lifespan=lifespan(health))
    health.install(app)
    problems.install(app)
    statuses = []
    for _ in range(2):
        with TestClient(app) as client:
            statuses.append(client.get("/readyz").status_code)
        assert not health.started

    assert statuses == [503, 200]


opened: list[str] = []


@asynccontextmanager
async def tables_of(name: str) -> AsyncGenerator[str]:
    opened.append(f"open {name}")
    yield name
    opened.append(f"close {name}")


class Part:
    async def __aenter__(self) -> "Part":
        opened.append("open part")
        return self

    async def __aexit__(self, *_: object) -> None:
        opened.append("close part")


class Fails:
    async def __aenter__(self) -> None:
        raise LookupError("mine")

    async def __aexit__(self, *_: object) -> None: ...


Adopt = Callable[[Any], FastAPI]


def as_lifespan(life: Any) -> FastAPI:
    return FastAPI(lifespan=life)


def beside_an_own(life: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(APIRouter(lifespan=life))
    return app


@pytest.mark.parametrize("adopt", [as_lifespan, beside_an_own])
def test_parts_are_opened_and_closed_each_time(adopt: Adopt) -> None:
    app = adopt(lifespan(tables_of("a"), Part(), tables_of("b")))
    for _ in range(3):
        opened.clear()
        with TestClient(app):
            assert opened == ["open a", "open part", "open b"]
        assert opened[3:] == ["close b", "close part", "close a"]


def test_two_applications_may_have_the_same_function(tmp_path: Path) -> None:
    life = lifespan(tables_of("a"))
    opened.clear()
    with TestClient(FastAPI(lifespan=life)), TestClient(FastAPI(lifespan=life)):
        assert opened == ["open a", "open a"]


async def test_a_part_that_was_opened_elsewhere_is_told_by_name() -> None:
    part = tables_of("a")
    async with part:
        pass
    app = FastAPI(lifespan=lifespan(part))

    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"tables_of opens once.*lifespan\(tables_of\("):
            async with app.router.lifespan_context(app):
                pass


def test_what_a_part_raises_itself_is_passed_on() -> None:
    app = FastAPI(lifespan=lifespan(Fails()))
    for _ in range(2):
        with pytest.raises(LookupError, match="mine"), TestClient(app):
            pass


def series(text: str, route: str) -> list[str]:
    name = "http_server_request_duration_seconds_count"
    return [line for line in text.splitlines() if line.startswith(name) and route in line]


def with_options(telemetry: Telemetry) -> FastAPI:
    return FastAPI(telemetry=telemetry.options())


def without_options(_: Telemetry) -> FastAPI:
    return FastAPI()


def told_to_measure(_: Telemetry) -> FastAPI:
    return FastAPI(telemetry={"metrics": True})


@pytest.mark.sampled
@pytest.mark.parametrize("make", [with_options, without_options, told_to_measure])
@pytest.mark.parametrize("first", ["contract", "telemetry"])
@pytest.mark.parametrize("place", ["app", "mounted", "mounted twice"])
def test_a_request_is_counted_in_one_series(make: Any, first: str, place: str) -> None:
    telemetry = Telemetry()
    app = make(telemetry)
    installs = [lambda: problems.install(app), lambda: telemetry.install(app)]
    for install in installs if first == "contract" else reversed(installs):
        install()
    route, serving = f"/{first}/{make.__name__}/{place.replace(' ', '-')}", app
    if place != "app":
        serving = FastAPI()
        app.mount("/in", serving)
    if place == "mounted twice":
        inner = FastAPI()
        serving.routes.append(Mount("/deep", inner))
        serving = inner
    serving.add_api_route(route, lambda: 1)
    path = {"app": "", "mounted": "/in", "mounted twice": "/in/deep"}[place] + route
    for count in (1, 2):
        with TestClient(app) as client:
            assert client.get(path).status_code == 200
            (line,) = series(client.get("/metrics").text, route)
            assert line.endswith(f" {count}")


def test_who_leaves_out_the_options_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    for make in (with_options, without_options):
        telemetry = Telemetry()
        app = make(telemetry)
        problems.install(app)
        telemetry.install(app)

    assert caplog.text.count("FastAPI(telemetry=telemetry.options())") == 1


def test_telemetry_is_installed_once() -> None:
    app, telemetry = FastAPI(), Telemetry()
    telemetry.install(app)

    for again in (telemetry, Telemetry()):
        with pytest.raises(RuntimeError, match="has telemetry already"):
            again.install(app)


async def test_sigterm_reaches_who_has_it_however_applications_stop() -> None:
    import signal

    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        one, two = (Health(version="1", drain=timedelta()) for _ in range(2))
        await one.__aenter__()
        await two.__aenter__()
        await one.__aexit__(None, None, None)
        await two.__aexit__(None, None, None)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM]
