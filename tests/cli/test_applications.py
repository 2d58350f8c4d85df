"""`roadworthy jobs enqueue`, `work` and `alive`, in processes of their own, for an application."""

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import sqlalchemy as sa

from roadworthy import tables
from roadworthy.jobs import table
from support.forked import run as forked_run
from support.polling import until

SHOP = """
from datetime import date
from pathlib import Path
from roadworthy.database import Database
from roadworthy.jobs import Jobs, task

@task(name="orders.confirm")
async def confirm(order_id: int, due: date | None = None) -> None:
    Path("confirmed").write_text(f"{order_id} {due}")

class Mailer:
    async def __aenter__(self):
        Path("opened").touch()
    async def __aexit__(self, *error):
        Path("closed").touch()

db = Database(URL)
jobs = Jobs(db, tasks=[confirm], parts=[Mailer()], run=False)
number = 3

def parts():
    return db, jobs

def two():
    return db, jobs, Jobs(db, tasks=[], run=False)

def broken():
    raise LookupError("no settings")
"""


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Path:
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    tables.metadata.create_all(engine)
    engine.dispose()
    (tmp_path / "shop.py").write_text(SHOP.replace("URL", repr(database_url)))
    return tmp_path


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "roadworthy.cli", "jobs", *words]


def run(shop: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = forked_run(
        command(*words), cwd=shop, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.sampled
@pytest.mark.parametrize("target", ["shop:jobs", "shop:parts"])
def test_a_job_is_enqueued_and_a_worker_runs_it(shop: Path, target: str) -> None:
    done = run(shop, "enqueue", target, "orders.confirm", '{"order_id": 3, "due": "2030-01-02"}')
    assert (done.returncode, len(done.stdout.strip())) == (0, 36), done.stderr

    alive = shop / "alive"
    worker = subprocess.Popen(
        command("work", target, "--alive-file", str(alive)), cwd=shop, stderr=subprocess.PIPE
    )
    try:
        until((shop / "confirmed").exists)
        until(lambda: (shop / "confirmed").read_text() == "3 2030-01-02")
        assert run(shop, "alive", str(alive)).returncode == 0
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)

    assert worker.returncode == 0
    assert (shop / "closed").exists() == (target == "shop:jobs")  # who names parts names all
    assert run(shop, "alive", str(alive)).returncode == 1


def test_a_worker_answers_probes_and_tells_its_metrics(shop: Path, free_port: int) -> None:
    worker = subprocess.Popen(
        command("work", "shop:jobs", "--port", str(free_port)), cwd=shop, stderr=subprocess.PIPE
    )
    try:
        until(lambda: fetched(free_port, "/readyz") is not None)
        assert "alive" in str(fetched(free_port, "/livez"))
        until(lambda: "roadworthy_jobs_depth" in str(fetched(free_port, "/metrics")))
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)
    assert worker.returncode == 0


def fetched(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("shop:jobs", "orders.confrm"), "Did you mean orders.confirm?"),
        (("shop:jobs", "orders.confirm", "{"), "no JSON"),
        (("shop:jobs", "orders.confirm", "[1]"), "JSON object"),
        (("shop:jobs", "orders.confirm", "{}"), "order_id: Field required"),
        (("shop:jobs", "orders.confirm", '{"order_id": 1, "x": 2}'), "x"),
        (("shop:jobs", "orders.confirm", '{"order_id": 1}', "--delay", "soon"), "10m"),
        (("shop:jobs", "orders.confirm", '{"order_id": 1}', "--run-at", "noon"), "2030-01-31"),
        (("shop:jobs", "orders.confirm", '{"order_id": 1}', "--queue", "a b"), "queue has"),
        (("shop:nothing", "orders.confirm"), "Type module:name"),
        (("shop:number", "orders.confirm"), "is no Jobs"),
        (("shop:two", "orders.confirm"), "one worker for each"),
        (("shop:broken", "orders.confirm"), "LookupError: no settings"),
        (("nowhere:jobs", "orders.confirm"), "no module nowhere"),
        (("shop", "orders.confirm"), "Type module:name"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_type(shop: Path, words, says: str) -> None:
    done = run(shop, "enqueue", *words)

    assert done.returncode == 2
    assert says in done.stderr


def test_options_are_those_of_the_task(shop: Path, database_url: str) -> None:
    words = ("enqueue", "shop:jobs", "orders.confirm", '{"order_id": 1}')
    later = ("--delay", "2h", "--expires", "1d", "--queue", "mail", "--unique-key", "a")
    first, second = run(shop, *words, *later), run(shop, *words, *later)

    assert first.stdout == second.stdout
    assert "already" in second.stderr
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        [row] = connection.execute(sa.select(table)).all()
    engine.dispose()
    assert (row.queue, row.state, row.unique_key) == ("mail", "scheduled", "a")
    assert row.expires_at > row.run_at
