"""CONTRACT: Jobs, and what the background owes to orders."""

import asyncio
import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from depot.jobs.models import JobStatus
from roadworthy import jobs
from roadworthy.database import Database
from support.pace import Pace
from support.sampling import mostly_on

Add = Callable[..., dict[str, Any]]
Eventually = Callable[..., Any]
RunDepot = Callable[..., subprocess.CompletedProcess[str]]
ServeMail = Callable[..., Any]
StartDepot = Callable[..., Any]

ITEM = {"name": "Hammer", "quantity": 1000, "price": "9.99"}
FIELDS = {
    *("id", "task", "status", "attempts", "enqueued_at", "finished_at"),
    *("request_id", "error_code"),
}


def _item(client: httpx.Client) -> str:
    answer = client.post("/inventory", json=ITEM)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _order(client: httpx.Client, item_id: str, **headers: str) -> httpx.Response:
    body = {
        "customer_email": "ann@example.com",
        "lines": [{"item_id": item_id, "quantity": 1}],
    }
    return client.post("/orders", json=body, headers=headers)


def _jobs(answer: httpx.Response) -> list[str]:
    return answer.headers.get_list("x-job-id")


def _mails(directory: Path) -> list[str]:
    return [path.read_text() for path in (directory / "mail").glob("*.eml")]


def _states(client: httpx.Client, answer: httpx.Response) -> tuple[str, str]:
    order = client.get(answer.headers["location"]).json()
    return order["confirmation"], order["invoice"]


DONE = ("sent", "ready")


def test_each_job_of_an_order_is_named_and_succeeds(
    client: httpx.Client, eventually: Eventually
) -> None:
    answer = _order(client, _item(client), **{"X-Request-ID": "order-1"})

    confirmation, invoice = _jobs(answer)
    for job_id, task in ((confirmation, "send_confirmation"), (invoice, "make_invoice")):
        job = eventually(
            lambda job_id=job_id: client.get(f"/jobs/{job_id}").json(),
            lambda job: job["status"] == "succeeded",
        )
        assert set(job) == FIELDS
        assert (job["id"], job["task"], job["attempts"]) == (job_id, f"orders.{task}", 1)
        assert (job["request_id"], job["error_code"]) == ("order-1", None)
        enqueued, finished = (
            datetime.fromisoformat(job[name]) for name in ("enqueued_at", "finished_at")
        )
        assert enqueued <= finished
        assert job["enqueued_at"].endswith("Z")
        assert client.head(f"/jobs/{job_id}").status_code == 200
    assert _states(client, answer) == DONE


@pytest.mark.parametrize(
    "job_id", ["nope", "%00", "x" * 300, "0f1d8a52-5d64-4a5e-9c1b-2f6e1c1f3a77", "a%22b"]
)
def test_a_job_that_is_not_there_is_not_found(client: httpx.Client, job_id: str) -> None:
    answer = client.get(f"/jobs/{job_id}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "JOB_NOT_FOUND")


def test_an_order_that_failed_leaves_no_job_and_no_mail(
    start_briefly: StartDepot, tmp_path: Path, eventually: Eventually
) -> None:
    """B3."""
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        item_id = _item(client)
        short = client.post(
            "/orders",
            json={
                "customer_email": "bob@example.com",
                "lines": [{"item_id": item_id, "quantity": 5000}],
            },
        )
        wrong = client.post("/orders", json={"customer_email": "bob@example.com", "lines": []})
        good = _order(client, item_id)
        eventually(lambda: _states(client, good), DONE.__eq__)

    assert [(a.status_code, _jobs(a)) for a in (short, wrong)] == [(409, []), (422, [])]
    (mail,) = _mails(tmp_path)
    assert "To: ann@example.com" in mail


def test_the_confirmation_says_what_was_ordered(
    start_briefly: StartDepot, tmp_path: Path, eventually: Eventually
) -> None:
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        item_id = _item(client)
        answer = _order(client, item_id, **{"X-Request-ID": "find-me"})
        eventually(lambda: _states(client, answer), DONE.__eq__)
    depot.stop()

    (mail,) = _mails(tmp_path)
    order = answer.json()
    assert f"Subject: Your order {order['id']}" in mail
    assert f"1 x {item_id} at 9.99: 9.99" in mail
    assert "Total: 9.99" in mail
    told = [line for line in depot.lines if order["id"] in line]
    assert told
    assert all("[find-me" in line for line in told)  # the id of the job may follow


def test_a_repeat_names_the_same_jobs_and_makes_none(
    start_briefly: StartDepot, tmp_path: Path, eventually: Eventually
) -> None:
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        item_id = _item(client)
        first = _order(client, item_id, **{"Idempotency-Key": "once"})
        eventually(lambda: _states(client, first), DONE.__eq__)
        again = _order(client, item_id, **{"Idempotency-Key": "once"})
        other = _order(client, item_id)
        eventually(lambda: _states(client, other), DONE.__eq__)

    assert again.headers["idempotent-replayed"] == "true"
    assert _jobs(again) == _jobs(first)
    assert len(_jobs(first)) == 2
    assert len(_mails(tmp_path)) == 2  # of the first and the other


def test_a_mail_server_gets_one_message_for_each_order(
    start_briefly: StartDepot, serve_mail: ServeMail, tmp_path: Path, eventually: Eventually
) -> None:
    server = serve_mail()
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_MAIL__URL=server.url)
    with depot.client() as client:
        item_id = _item(client)
        answers = [_order(client, item_id) for _ in range(5)]
        for answer in answers:
            eventually(lambda answer=answer: _states(client, answer), DONE.__eq__)

    sent = sorted(
        re.findall(r"Order: (\S+)", envelope.content.decode())[0] for envelope in server.envelopes
    )
    assert sent == sorted(answer.json()["id"] for answer in answers)
    assert not (tmp_path / "mail").exists()


def test_a_slow_mail_server_does_not_slow_orders(
    start_briefly: StartDepot, serve_mail: ServeMail, tmp_path: Path, eventually: Eventually
) -> None:
    server = serve_mail()
    server.hold.clear()
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_MAIL__URL=server.url)
    with depot.client() as client:
        item_id = _item(client)
        began = time.monotonic()
        with Pace() as pace:
            answers = [_order(client, item_id) for _ in range(20)]
        took = time.monotonic() - began
        for answer in answers:  # the invoices wait for no mail either
            eventually(lambda answer=answer: _states(client, answer)[1], "ready".__eq__)
        assert server.asked.is_set()
        assert {_states(client, answer)[0] for answer in answers} == {"pending"}
        server.hold.set()
        for answer in answers:
            eventually(lambda answer=answer: _states(client, answer)[0], "sent".__eq__)

    assert took < pace.stretched(5)  # one message would have taken as long as the server was held


def test_a_mail_server_that_is_away_gets_the_message_when_it_is_back(
    start_briefly: StartDepot,
    serve_mail: ServeMail,
    closed_port: int,
    tmp_path: Path,
    eventually: Eventually,
) -> None:
    url = f"smtp://127.0.0.1:{closed_port}"
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_MAIL__URL=url)
    with depot.client() as client:
        answer = _order(client, _item(client))
        path = f"/jobs/{_jobs(answer)[0]}"
        retrying = eventually(
            lambda: client.get(path).json(), lambda job: job["status"] == "retrying"
        )
        server = serve_mail(port=closed_port)
        eventually(lambda: _states(client, answer), DONE.__eq__)
        done = client.get(path).json()

    assert retrying["attempts"] >= 1
    assert retrying["error_code"]
    assert retrying["finished_at"] is None
    assert (done["status"], done["attempts"] > 1) == ("succeeded", True)
    assert len(server.envelopes) == 1


def test_a_recipient_that_is_refused_for_good_is_given_up(
    start_briefly: StartDepot, serve_mail: ServeMail, tmp_path: Path, eventually: Eventually
) -> None:
    server = serve_mail()
    server.recipient_answers = ["450 Try again later", "550 No such user"]
    depot = start_briefly(DEPOT_DATA_DIR=str(tmp_path), DEPOT_MAIL__URL=server.url)
    with depot.client() as client:
        answer = _order(client, _item(client))
        eventually(lambda: _states(client, answer), ("failed", "ready").__eq__)
        job = client.get(f"/jobs/{_jobs(answer)[0]}").json()

    assert (job["status"], job["error_code"], job["attempts"]) == ("dead", "GAVE_UP", 2)
    assert server.envelopes == []


@mostly_on("sqlite", fixture="own_database_url")
def test_what_an_order_owes_survives_a_kill(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    """B4."""
    settings = {"DEPOT_DATA_DIR": str(tmp_path), "DEPOT_DATABASE__URL": own_database_url}
    depot = start_briefly(**settings)
    with depot.client() as client:
        item_id = _item(client)
        answers = [_order(client, item_id) for _ in range(5)]
        depot.process.kill()

    again = start_briefly(**settings)

    with again.client() as client:
        for answer in answers:
            eventually(lambda answer=answer: _states(client, answer), DONE.__eq__, seconds=60)
            pdf = client.get(answer.headers["location"] + "/invoice").content
            assert pdf.startswith(b"%PDF")
    mails = "".join(_mails(tmp_path))
    assert [mails.count(f"Order: {answer.json()['id']}") for answer in answers] == [1] * 5


@mostly_on("postgresql", fixture="own_database_url")
def test_a_running_job_goes_back_to_the_queue_in_time(
    start_briefly: StartDepot,
    serve_mail: ServeMail,
    own_database_url: str,
    tmp_path: Path,
    eventually: Eventually,
) -> None:
    """B5."""
    server = serve_mail()
    server.hold.clear()
    settings = {
        "DEPOT_DATA_DIR": str(tmp_path),
        "DEPOT_DATABASE__URL": own_database_url,
        "DEPOT_MAIL__URL": server.url,
        "DEPOT_SHUTDOWN__GRACE_SECONDS": "6",
    }
    depot = start_briefly(**settings)
    with depot.client() as client:
        answer = _order(client, _item(client))
        server.asked.wait(timeout=30)
        client.get("/livez")
    began = time.monotonic()

    assert depot.stop(signal.SIGTERM) == 0

    assert time.monotonic() - began < 6
    server.hold.set()
    again = start_briefly(**settings)
    with again.client() as client:
        # At once: it was given back, nobody waits for a lease to end.
        eventually(lambda: _states(client, answer), DONE.__eq__, seconds=10)
        job = client.get(f"/jobs/{_jobs(answer)[0]}").json()
    assert (job["status"], job["error_code"]) == ("succeeded", None)
    assert len(server.envelopes) == 1


def test_a_worker_gives_its_running_job_back_in_time(
    start_briefly: StartDepot, serve_mail: ServeMail, tmp_path: Path, eventually: Eventually
) -> None:
    """B5."""
    server = serve_mail()
    server.hold.clear()
    settings = {"DEPOT_DATA_DIR": str(tmp_path), "DEPOT_MAIL__URL": server.url}
    depot = start_briefly(**settings, DEPOT_JOBS__RUN_IN_SERVER="false")
    worker = start_briefly(command="worker", **settings, DEPOT_SHUTDOWN__GRACE_SECONDS="8")
    with depot.client() as client:
        answer = _order(client, _item(client))
        server.asked.wait(timeout=30)
        began = time.monotonic()

        assert worker.stop(signal.SIGTERM) == 0

        assert time.monotonic() - began < 8
        job = client.get(f"/jobs/{_jobs(answer)[0]}").json()
    assert (job["status"], job["finished_at"]) == ("queued", None)


@mostly_on("postgresql", fixture="own_database_url")
def test_workers_run_what_the_server_does_not(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    settings = {"DEPOT_DATA_DIR": str(tmp_path), "DEPOT_DATABASE__URL": own_database_url}
    depot = start_briefly(**settings, DEPOT_JOBS__RUN_IN_SERVER="false")
    with depot.client() as client:
        item_id = _item(client)
        answers = [_order(client, item_id) for _ in range(8)]
        waiting = [client.get(f"/jobs/{job}").json() for a in answers for job in _jobs(a)]
        workers = [start_briefly(command="worker", **settings) for _ in range(2)]
        for answer in answers:
            eventually(lambda answer=answer: _states(client, answer), DONE.__eq__)

    assert {(job["status"], job["attempts"]) for job in waiting} == {("queued", 0)}
    assert len(_mails(tmp_path)) == 8
    for number, worker in zip((signal.SIGTERM, signal.SIGINT), workers, strict=True):
        assert worker.stop(number) == 0
        assert worker.lines[0] == "Depot's worker is ready\n"
        assert "Traceback" not in worker.log


def test_a_worker_of_another_queue_leaves_the_rest(
    start_briefly: StartDepot, tmp_path: Path, eventually: Eventually
) -> None:
    data = {"DEPOT_DATA_DIR": str(tmp_path)}
    depot = start_briefly(**data, DEPOT_JOBS__RUN_IN_SERVER="false")
    with depot.client() as client:
        answer = _order(client, _item(client))
        mails = start_briefly("--queue", "mail", command="worker", **data)
        eventually(lambda: _states(client, answer), ("sent", "pending").__eq__)
        mails.stop()
        assert _states(client, answer) == ("sent", "pending")
        start_briefly("--queue", "letters", "--queue", "default", command="worker", **data)
        eventually(lambda: _states(client, answer), DONE.__eq__)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_an_engine_that_there_is_not_is_one_line(
    run_depot: RunDepot, tmp_path: Path, command: str
) -> None:
    done = run_depot(command, DEPOT_DATA_DIR=str(tmp_path), DEPOT_JOBS__ENGINE="dramatiq")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == "DEPOT_JOBS__ENGINE: needs embedded, celery or rq"


def test_a_worker_wants_the_schema_of_its_version(
    run_depot: RunDepot, postgres_url: str, tmp_path: Path
) -> None:
    run_depot("migrate", DEPOT_DATABASE__URL=postgres_url)
    _execute(postgres_url, "UPDATE alembic_version SET version_num = '0001'")

    done = run_depot("worker", DEPOT_DATABASE__URL=postgres_url, DEPOT_DATA_DIR=str(tmp_path))

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "depot migrate" in line


def test_a_job_that_was_cancelled_reads_as_dead(
    start_briefly: StartDepot, own_database_url: str, tmp_path: Path
) -> None:
    depot = start_briefly(
        DEPOT_DATA_DIR=str(tmp_path),
        DEPOT_DATABASE__URL=own_database_url,
        DEPOT_JOBS__RUN_IN_SERVER="false",
    )
    with depot.client() as client:
        job_id = _jobs(_order(client, _item(client)))[0]

        assert asyncio.run(_cancel(own_database_url, job_id))

        job = client.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["error_code"]) == ("dead", "CANCELLED")
    assert job["finished_at"] is not None


def test_clients_are_told_of_no_arguments_and_no_texts() -> None:
    assert set(JobStatus.model_fields) == FIELDS


async def _cancel(url: str, job_id: str) -> bool:
    async with Database(url) as db, db.begin() as tx:
        return await jobs.cancel(tx, job_id)


def _execute(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(statement)
