"""Probes say what is so, at once, whatever hangs."""

import signal
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from support.pace import Pace
from support.polling import until
from support.postgres import PrivatePostgres, private_postgres
from support.server import Server

PROBES = ("/livez", "/startupz", "/readyz", "/health")


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


def eventually(question: Callable[[], Any], wanted: Any, *, seconds: float = 10) -> float:
    """Ask until the answer is `wanted`, and return how long that took."""
    began = time.monotonic()
    until(question, lambda answer: answer == wanted, seconds=seconds)
    return time.monotonic() - began


def status_of(server: Server, path: str) -> int:
    return httpx.get(server.url + path, timeout=5).status_code


def told_of_mail(server: Server) -> Any:
    return httpx.get(f"{server.url}/readyz/mail?verbose").json()["checks"]["mail"]


def latencies(server: Server, *, probes: int = 200) -> list[float]:
    """How many seconds each of many probes at once took."""

    def ask(number: int) -> float:
        began = time.monotonic()
        client.get(server.url + PROBES[number % len(PROBES)])
        return time.monotonic() - began

    with httpx.Client(timeout=20) as client, ThreadPoolExecutor(16) as threads:
        return list(threads.map(ask, range(probes)))


@pytest.mark.parametrize("path", [*PROBES, "/readyz/count", "/readyz/event_loop"])
def test_a_probe_answers_get_and_head_and_nothing_else(start, path):
    server = start()

    assert httpx.get(server.url + path).status_code == 200
    head = httpx.head(server.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["x-request-id"]
    wrong = httpx.post(server.url + path)
    assert (wrong.status_code, wrong.headers["x-error-code"]) == (405, "METHOD_NOT_ALLOWED")


def test_a_probe_says_what_it_is_asked_for(start):
    server = start()

    def told(path: str) -> Any:
        return httpx.get(server.url + path).json()

    assert told("/livez") == {"status": "alive"}
    assert told("/startupz") == {"status": "started"}
    assert told("/readyz") == {"status": "ready"}
    assert told("/readyz?verbose")["checks"] == dict.fromkeys(
        ["event_loop", "count", "mail", "serving"], "pass"
    )
    assert told("/readyz/count?verbose") == {"status": "ready", "checks": {"count": "pass"}}
    assert httpx.get(f"{server.url}/readyz/nothing").headers["x-error-code"] == "NOT_FOUND"
    health = told("/health")
    assert (health["status"], health["version"]) == ("healthy", "1.2.3")
    assert set(health["dependencies"]) == {"count", "mail"}
    assert health["dependencies"]["count"]["status"] == "connected"
    assert health["dependencies"]["count"]["critical"] is True
    assert health["timestamp"].endswith("Z")
    assert httpx.get(f"{server.url}/health").headers["cache-control"] == "no-store"


def test_who_asks_for_the_draft_of_a_standard_gets_it(start):
    answer = httpx.get(f"{start().url}/health", headers={"Accept": "application/health+json"})

    assert answer.headers["content-type"] == "application/health+json"
    assert answer.json()["status"] == "pass"
    assert answer.json()["checks"]["count"][0]["status"] == "pass"


def test_what_is_not_critical_degrades_and_leaves_ready(start):
    server = start()
    for mail, expected in (("warn", "connected"), ("fail", "unreachable"), ("pass", "connected")):
        httpx.put(f"{server.url}/mail/{mail}")
        eventually(lambda: told_of_mail(server), mail)

        health = httpx.get(f"{server.url}/health")
        assert health.status_code == 200
        assert health.json()["status"] == ("healthy" if mail == "pass" else "degraded")
        assert health.json()["dependencies"]["mail"]["status"] == expected
        assert status_of(server, "/readyz") == 200
        assert status_of(server, "/readyz/mail") == (503 if mail == "fail" else 200)


def test_reasons_are_for_the_log_and_for_operators(start):
    server = start()
    httpx.put(f"{server.url}/mail/fail")
    eventually(lambda: status_of(server, "/readyz/mail"), 503)

    def told(path: str, **headers: str) -> str:
        return httpx.get(server.url + path, headers=headers).text

    for path in ("/health", "/readyz?verbose", "/readyz/mail"):
        for wrong in ("", "Bearer", "Bearer wrong", "Basic let me see"):
            assert "hunter2" not in told(path, authorization=wrong)
        assert "hunter2" in told(path, authorization="Bearer let me see")
    assert "mail fails: OSError: smtp://user:hunter2@mail is away" in server.log_text()


def test_nothing_of_the_application_can_keep_a_probe(start):
    server = start(guarded=True, stuck_middleware=True)

    for path in PROBES:
        assert status_of(server, path) == 200
    for _ in range(40):  # every thread of the pool is taken
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{server.url}/threads?seconds=3600", timeout=0.05)
    assert max(latencies(server, probes=20)) < 1
    server.stop(signal.SIGKILL)  # it would wait for the threads


def test_a_page_of_another_origin_goes_through_the_application(start):
    answer = httpx.get(f"{start(guarded=True).url}/health", headers={"Origin": "http://a.example"})

    assert answer.status_code == 401


def test_a_thousand_probes_cost_no_check(start):
    server = start()
    before = httpx.get(f"{server.url}/asked").json()["count"]

    latencies(server, probes=1000)

    assert httpx.get(f"{server.url}/asked").json()["count"] - before < 20


def test_a_check_that_ignores_its_end_hangs_alone_and_once(start):
    server = start(deaf=True)
    eventually(lambda: status_of(server, "/readyz"), 503)
    time.sleep(1)

    assert statistics.quantiles(latencies(server, probes=50), n=100)[98] < 0.5
    assert httpx.get(f"{server.url}/asked").json()["deaf"] == 1
    assert status_of(server, "/livez") == 200
    assert status_of(server, "/readyz?exclude=deaf") == 200
    began = time.monotonic()
    assert server.stop(timeout=10) == 0 or server.log_text()
    assert time.monotonic() - began < 6


def test_a_database_that_hangs_makes_no_probe_wait_and_is_seen_and_seen_again(start, postgres):
    server = start(database=postgres.url)
    assert status_of(server, "/readyz/database") == 200

    postgres.pause()
    with Pace() as pace:
        slow = latencies(server)
        found_in = eventually(lambda: status_of(server, "/readyz"), 503)
        health = httpx.get(f"{server.url}/health")
        slow += latencies(server)

    assert found_in < pace.stretched(6)
    assert statistics.quantiles(slow, n=100)[98] < pace.stretched(0.5)
    assert health.status_code == 503
    assert health.json()["dependencies"]["database"]["status"] == "unreachable"
    assert status_of(server, "/livez") == 200
    postgres.resume()
    assert eventually(lambda: status_of(server, "/readyz"), 200) < 2.5


def test_a_service_stops_though_its_database_hangs(start, postgres):
    server = start(database=postgres.url)
    # Connections of the pool are open and idle: to close them takes the server's answer.
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(httpx.get, [f"{server.url}/busy?seconds=0.2"] * 2))
    postgres.pause()
    eventually(lambda: status_of(server, "/readyz"), 503)

    began = time.monotonic()
    server.stop(timeout=30)

    assert time.monotonic() - began < 15


def test_a_pool_that_is_used_up_is_no_broken_database(start, postgres_url):
    server = start(database=postgres_url)
    with ThreadPoolExecutor(4) as threads:
        busy = [
            threads.submit(httpx.get, f"{server.url}/busy?seconds=2.5", timeout=30)
            for _ in range(4)
        ]
        time.sleep(1)
        seen = set()
        while not all(one.done() for one in busy):
            seen.add(status_of(server, "/readyz"))
            time.sleep(0.1)

    assert seen == {200}


def test_a_database_that_is_away_is_503_with_the_report(start, postgres):
    server = start(database=postgres.url)
    postgres.process.terminate()
    httpx.get(f"{server.url}/health")

    eventually(lambda: status_of(server, "/health"), 503)
    assert httpx.get(f"{server.url}/health").json()["status"] == "unhealthy"


def test_a_loop_that_is_blocked_is_told_with_what_blocks_it(start):
    server = start()

    httpx.get(f"{server.url}/block?seconds=2.5", timeout=10)

    eventually(lambda: httpx.get(f"{server.url}/health").json()["status"], "degraded")
    assert "time.sleep(seconds)" in server.log_text()
    assert status_of(server, "/livez") == 200
