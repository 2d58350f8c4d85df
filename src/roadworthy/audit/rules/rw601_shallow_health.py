"""RW601: every health route answers the same, whatever is away."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.fastapi import shallow_health
from roadworthy.audit.fastapi.health_routes import is_health
from roadworthy.audit.fastapi.routes import routes_of
from roadworthy.audit.fastapi.service import Service
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.place import Place
from roadworthy.audit.model.rule import Example, Hit, Rule
from roadworthy.audit.source.module import Module

__all__ = ["RULE"]

_LIBRARIES: Final = (
    *("sqlalchemy", "sqlmodel", "asyncpg", "psycopg2", "psycopg2-binary", "psycopg", "pymongo"),
    *("motor", "beanie", "tortoise-orm", "redis", "databases", "django", "elasticsearch", "neo4j"),
    *("supabase", "peewee", "odmantic", "ormar", "prisma", "aiomysql", "pymysql"),
)


_ASIDE: Final = frozenset(
    {"scripts", "script", "examples", "example", "benchmark", "benchmarks", "tools", "docs"}
)


@dataclass(frozen=True, slots=True)
class _Health:
    """A health route, and whether it checks nothing."""

    title: str
    place: Place
    constant: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a module says of its service."""

    routes: tuple[_Health, ...]
    uses: bool


def _collect(module: Module) -> object:
    routes = tuple(
        _Health(one.title, one.place, shallow_health.checks_nothing(one))
        for one in routes_of(module)
        if is_health(one)
    )
    uses = shallow_health.uses_dependency(module.source)
    if any(one.constant for one in routes) and not uses:
        uses = shallow_health.service_uses_dependency(module)
    return _Seen(routes, uses) if routes or uses else None


def _check(service: Service) -> Iterator[Hit]:
    seen = [one for _, one in service.collected.get("RW601", []) if isinstance(one, _Seen)]
    routes = _of_service([route for one in seen for route in one.routes])
    if not routes or not all(route.constant for route in routes):
        return
    if any(one.uses for one in seen) or any(map(service.asks_for, _LIBRARIES)):
        first = min(routes, key=lambda route: ("ready" not in route.title, len(route.title)))
        yield Hit(place=first.place, message=_message(first, len(routes)))


def _of_service(routes: list[_Health]) -> list[_Health]:
    """Leave out those of scripts and examples, where there are others."""
    return [one for one in routes if _ASIDE.isdisjoint(one.place.path.split("/"))] or routes


def _message(route: _Health, number: int) -> str:
    only = "the only health route" if number == 1 else f"like all {number} health routes"
    return (
        f"{route.title}, {only}, answers the same whatever is away: with the database gone the "
        "balancer keeps sending requests here, and each of them fails."
    )


_BAD = Example("""
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

app = FastAPI()
engine = create_async_engine("postgresql+asyncpg://localhost/shop")

@app.get("/health")
async def health():  # found
    return {"status": "ok"}
""")

_GOOD = Example("""
from fastapi import FastAPI, HTTPException
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

app = FastAPI()
engine = create_async_engine("postgresql+asyncpg://localhost/shop")

@app.get("/livez")
async def live():
    return {"status": "ok"}

@app.get("/readyz")
async def ready():
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
    except SQLAlchemyError as error:
        raise HTTPException(503, "The database is away.") from error
    return {"status": "ready"}
""")

_BAD_BESIDE_A_SCRIPT = Example(
    """
# file: scripts/load/server.py
from fastapi import FastAPI

app = FastAPI()

@app.get("/ready")
async def ready():
    return {"status": "ok"}
# file: shop/api.py
import redis
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
async def health():  # found
    return {"status": "ok"}
""",
    "The service's own route is shown, not the script's.",
)

RULE: Final = Rule(
    code="RW601",
    name="shallow-health",
    severity=Severity.MEDIUM,
    looks="service",
    check=_check,
    collect=_collect,
    summary="No health route of the service looks at anything it depends on.",
    why="""A balancer asks readiness whether to send requests. A constant answer says yes also where
the database is gone, the password is wrong or the migration has failed: every request to that
instance fails, while others would serve it. (Liveness should be constant: a restart mends no
database.)""",
    mend="Add /readyz that asks the database, within a deadline, and else answers 503.",
    ours="`Health` of `roadworthy.health` checks in the background; probes read the last result.",
    bad=(_BAD, _BAD_BESIDE_A_SCRIPT),
    good=(_GOOD,),
)
"""Finds services whose health routes check no dependency."""
