"""The fixtures keep their promises, so that a failing test blames the right thing."""

import signal
import sqlite3
from pathlib import Path

import psycopg
import pytest

from support import postgres
from support.http import RawClient

APP = """
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
import os

app = FastAPI()

def create_app():
    return app

@app.get("/env")
def env():
    return os.environ["GREETING"]

@app.post("/echo")
async def echo(request: Request):
    return (await request.body()).decode()

@app.get("/stream")
def stream():
    return StreamingResponse(iter([b"a", b"b"]))

@app.get("/broken")
def broken():
    def parts():
        yield b"a"
        raise RuntimeError
    return StreamingResponse(parts())
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(APP)
    return path


def test_a_server_is_ready_when_serve_returns_and_ends_on_sigterm(serve, app):
    server = serve(app, env={"GREETING": "hello"})

    with RawClient(server.port) as client:
        assert client.request("GET", "/env").json() == "hello"

    server.send_signal(signal.SIGTERM)
    assert server.wait() in {0, -signal.SIGTERM}
    assert "GET /env" in server.log_text()


def test_a_server_that_cannot_start_says_why(serve, tmp_path):
    (tmp_path / "wrong.py").write_text("raise RuntimeError('no such luck')")

    with pytest.raises(AssertionError, match="no such luck"):
        serve(tmp_path / "wrong.py")


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_a_connection_is_kept_pipelined_and_chunked(serve, app, http):
    server = serve(app, factory=True, args=["--http", http])

    with RawClient(server.port) as client:
        assert client.request("POST", "/echo", chunks=[b"one", b"two"]).json() == "onetwo"
        client.send("POST", "/echo", body="first")
        client.send("GET", "/stream")
        assert client.receive().json() == "first"
        assert client.receive().body == b"ab"


def test_a_body_that_is_cut_short_shows(serve, app):
    server = serve(app)

    with RawClient(server.port) as client:
        reply = client.request("GET", "/broken")
        assert (reply.status, reply.complete) == (200, False)
        assert client.is_closed()


def test_every_test_gets_a_database_of_its_own(database_url):
    connect = psycopg.connect if database_url.startswith("postgresql") else sqlite3.connect
    with connect(database_url.removeprefix("sqlite:///")) as connection:
        connection.execute("CREATE TABLE only_here (id integer)")
    connection.close()


def test_a_private_postgresql_starts_where_none_answers(monkeypatch):
    if not postgres._binaries():
        pytest.skip("needs PostgreSQL: its binaries are not installed")

    with postgres.private_postgres() as server, postgres.database_on(server.url) as fresh:
        assert "roadworthy_test_" in fresh


def test_a_named_server_that_is_away_is_an_error_that_names_the_variable(monkeypatch):
    monkeypatch.setenv("PG_URL", "postgresql://postgres@127.0.0.1:1/postgres")

    with pytest.raises(postgres.Unavailable, match="PG_URL"), postgres.server_url():
        pass
