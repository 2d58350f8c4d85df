"""CONTRACT: Health and operations, `/ops` and `/`."""

import html
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from depot.mail.files import FULL
from support.debian import program
from support.polling import until

StartDepot = Callable[..., Any]
PAGE = {"Accept": "text/html"}
SAME = {"Sec-Fetch-Site": "same-origin"}
OUTSIDE = ["/ops", "/ops/", "/ops/jobs", "/ops/static/console.css", "/ops/no-such-page"]


@pytest.fixture(scope="module")
def depot(start_depot: StartDepot, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return start_depot(command="demo", DEPOT_DATA_DIR=str(tmp_path_factory.mktemp("var")))


@pytest.fixture(scope="module")
def with_token(start_depot: StartDepot, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = str(tmp_path_factory.mktemp("var"))
    return start_depot(DEPOT_DATA_DIR=folder, DEPOT_OPS__TOKEN="a-token-of-ours")


def _link(depot: Any) -> str:
    found: re.Match[str] = until(lambda: re.search(r"http://\S+/ops\?\S+", depot.log))
    return found[0]


def test_the_link_that_is_printed_opens_the_console_once(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    depot = start_depot("--workers", "2", DEPOT_DATA_DIR=str(tmp_path))

    with depot.client(follow_redirects=True, headers=PAGE) as first:
        assert first.get(_link(depot)).status_code == 200
        assert first.get("/ops").status_code == 200
    with depot.client(follow_redirects=True, headers=PAGE) as second:
        assert second.get(_link(depot)).status_code == 404
        assert second.get("/ops").status_code == 404


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_nobody_else_is_told_that_there_is_a_console(depot: Any, path: str, method: str) -> None:
    with depot.client() as client:
        answer = client.request(method, path)
        nothing = client.request(method, "/there-is-nothing")

    assert answer.status_code == 404
    assert answer.headers["X-Error-Code"] == nothing.headers["X-Error-Code"] == "NOT_FOUND"


def test_the_link_is_a_line_of_json_where_the_log_is(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path), DEPOT_LOG__FORMAT="json")

    with depot.client(follow_redirects=True, headers=PAGE) as client:
        assert client.get(_link(depot).rstrip('",}')).status_code == 200
    line = next(line for line in depot.lines if "/ops?" in line)
    assert json.loads(line)["level"] == "INFO"


def test_a_server_that_others_reach_prints_no_link(start_depot: StartDepot, tmp_path: Path) -> None:
    depot = start_depot("--host", "0.0.0.0", DEPOT_DATA_DIR=str(tmp_path))

    assert "/ops?" not in depot.log
    depot.url = f"http://127.0.0.1:{urlsplit(depot.url).port}"
    with depot.client(headers=PAGE) as client:
        assert client.get("/ops").status_code == 404


def test_a_token_is_taken_by_a_form_and_as_bearer(with_token: Any) -> None:
    assert "/ops?" not in with_token.log
    with with_token.client(follow_redirects=True, headers=PAGE) as client:
        form = client.get("/ops")
        assert "<form" in form.text
        wrong = client.post("/ops/sign-in", data={"token": "guessed"}, headers=SAME)
        assert wrong.status_code == 401
        right = client.post("/ops/sign-in", data={"token": "a-token-of-ours"}, headers=SAME)
        assert (right.status_code, right.url.path) == (200, "/ops")
    with with_token.client() as client:
        for token, status in (("a-token-of-ours", 200), ("guessed", 404)):
            headers = {"Authorization": f"Bearer {token}"}
            assert client.get("/ops", headers=headers).status_code == status


def test_a_page_of_the_console_is_kept_and_framed_by_nobody(with_token: Any) -> None:
    with with_token.client(headers={"Authorization": "Bearer a-token-of-ours"}) as client:
        headers = client.get("/ops").headers

    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"


def test_the_first_page_says_what_to_try_and_each_line_does_what_it_says(depot: Any) -> None:
    curl = program("curl", package="curl")
    with depot.client() as client:
        page = client.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    lines = [html.unescape(line) for line in re.findall(r"<pre>(.*?)</pre>", page.text, re.DOTALL)]

    answers = [_run(line.replace("curl", curl, 1)) for line in (*lines, lines[2])]

    statuses = [answer.split()[1] for answer in answers]
    assert statuses == ["422", "412", "201", "415", "201", "201"]
    assert "idempotent-replayed: true" in answers[-1].lower()


def test_the_demo_has_a_day_to_look_at(
    start_depot: StartDepot, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    depot = start_depot(command="demo", DEPOT_DATA_DIR=str(tmp_path))

    with depot.client(follow_redirects=True, headers=PAGE) as client:
        client.get(_link(depot))
        for path, told in (
            ("/ops/problems", "INSUFFICIENT_STOCK"),
            ("/ops/dead", "orders.send_confirmation"),
            ("/ops/jobs", "orders.make_invoice"),
            ("/ops/workers", "0.1.0"),
        ):
            with subtests.test(path):
                until(lambda path=path, told=told: told in client.get(path).text)


def _run(line: str) -> str:
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_the_job_that_dies_succeeds_when_it_is_retried_after_the_minute(
    start_depot: StartDepot, tmp_path: Path
) -> None:
    depot = start_depot(DEPOT_DATA_DIR=str(tmp_path))
    with depot.client() as client:
        client.post("/inventory", json={"id": "hammer", "name": "H", "quantity": 5, "price": "9"})
        lines = [{"item_id": "hammer", "quantity": 1}]
        order = client.post("/orders", json={"customer_email": FULL, "lines": lines}).json()

        def confirmation() -> str:
            return str(client.get(f"/orders/{order['id']}").json()["confirmation"])

        until(lambda: confirmation() == "failed")
        # Nobody waits for a minute here: the order is older than it was.
        with closing(sqlite3.connect(tmp_path / "depot.db")) as database, database:
            database.execute("UPDATE orders SET created_at = datetime(created_at, '-2 minutes')")
        _retry_the_dead(tmp_path / "depot.db")
        until(lambda: confirmation() == "sent")


def _retry_the_dead(database: Path) -> None:
    command = ["-m", "roadworthy.cli", "jobs", "retry-all", "--state", "dead", "--by", "ana"]
    subprocess.run(
        [sys.executable, *command, "--database", f"sqlite:///{database}"],
        timeout=60,
        check=True,
        capture_output=True,
    )
