"""A database with the service's tables, and the service on it, before and after."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
from fastapi.testclient import TestClient

MIGRATIONS = Path(__file__).parent / "migrations"


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database in which Alembic has run."""
    url = f"sqlite:///{tmp_path}/service.db"
    if request.param == "postgresql":
        postgres = str(request.getfixturevalue("postgres_url"))
        url = postgres.replace("postgresql://", "postgresql+psycopg://")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url)
    command.upgrade(config, "head")
    return url


@pytest.fixture(params=["before", "after"])
def app(request: pytest.FixtureRequest, migrated_url: str) -> FastAPI:
    made: FastAPI = import_module(f"synchronous.{request.param}").create_app(migrated_url)
    return made


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
