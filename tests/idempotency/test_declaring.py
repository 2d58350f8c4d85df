"""What is checked and documented before any request comes."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import idempotency, problems, tables
from roadworthy.idempotency import Idempotency, Key


async def session() -> AsyncGenerator[AsyncSession]:
    async with AsyncSession() as opened:
        yield opened


Tx = Annotated[AsyncSession, Depends(session, scope="function")]


@pytest.mark.parametrize(
    "given", [session, AsyncSession, Annotated[AsyncSession, Depends(session)]]
)
def test_a_session_that_closes_after_the_response_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match='scope="function"'):
        Idempotency(given)


async def test_routes_that_are_not_hooked_say_what_to_add() -> None:
    app = FastAPI()

    @app.post("/", dependencies=[Idempotency(Tx).key])
    async def make() -> None: ...

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(RuntimeError, match=r"lifespan\(\.\.\.\)"):
            await client.post("/", headers={"Idempotency-Key": "k"})


def test_the_openapi_document_shows_the_header_and_the_answers() -> None:
    app, once = FastAPI(), Idempotency(Tx)
    problems.install(app)

    @app.post("/", status_code=201)
    async def make(key: Annotated[Key | None, once.key], request: Request) -> None: ...

    @app.post("/strict")
    async def strict(key: Annotated[Key, once.required]) -> None: ...

    shown = app.openapi()["paths"]
    (free,), (wanted,) = (shown[path]["post"]["parameters"] for path in ("/", "/strict"))
    assert (free["name"], free["in"], free["required"]) == ("Idempotency-Key", "header", False)
    assert (wanted["name"], wanted["required"]) == ("Idempotency-Key", True)
    assert shown["/"]["post"]["responses"].keys() >= {"201", "400", "409", "422"}
    assert "Idempotent-Replayed" in shown["/"]["post"]["responses"]["201"]["headers"]
    assert "Retry-After" in shown["/"]["post"]["responses"]["409"]["headers"]


def test_migrations_find_the_table() -> None:
    assert set(tables.metadata.tables) >= {"idempotency_keys"}
    assert set(idempotency.metadata.tables) == {"idempotency_keys"}


def test_without_sqlalchemy_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['sqlalchemy'] = None; import roadworthy.idempotency"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'roadworthy[database]'" in run.stderr
