"""What a check says, and what is held of it."""

import asyncio
import shutil
import socket
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from roadworthy.health import Health, disk_space, reachable
from roadworthy.health.check import Check, CheckResult
from roadworthy.health.check_state import CheckState
from support.polling import until_async

SOON = timedelta(milliseconds=20)


async def passing() -> None:
    pass


def check(**terms) -> Check:
    given = {
        "name": "a",
        "run": passing,
        "timeout": timedelta(seconds=1),
        "interval": timedelta(seconds=5),
        "critical": True,
        "failures": 3,
        "recoveries": 2,
        "after": (),
        "shared": True,
    }
    return Check(**(given | terms))


def result(status: str) -> CheckResult:
    return CheckResult(status=status, at=datetime.now(UTC), seconds=0.1, reason=status)


def status_after(*statuses: str, **terms) -> list[str]:
    state = CheckState(check(**terms))
    found = []
    for status in statuses:
        state.record(result(status))
        found.append(state.status)
    return found


def test_one_failure_is_no_failure_and_one_success_no_recovery():
    assert status_after("pass", "fail", "fail", "pass", "fail", "fail", "fail") == [
        *("pass", "pass", "pass", "pass", "pass", "pass", "fail")
    ]
    assert status_after("fail", "pass", "fail", "pass", "pass") == [
        *("fail", "fail", "fail", "fail", "pass")
    ]


def test_a_warning_is_told_at_once():
    assert status_after("pass", "warn", "pass") == ["pass", "warn", "pass"]


def test_a_check_is_asked_sooner_while_its_answer_is_not_what_is_held():
    state = CheckState(check())
    pauses = []
    for status in ("pass", "fail", "fail", "fail"):
        state.record(result(status))
        pauses.append(state.pause())

    assert pauses == [5, 1, 1, 5]


def test_an_old_answer_is_worth_nothing():
    now = 0.0
    state = CheckState(check(), clock=lambda: now)
    assert state.status == "fail"  # nothing is known yet
    state.record(result("pass"))
    now = 15.9
    assert state.status == "pass"
    now = 16.1
    assert (state.status, state.is_stale) == ("fail", True)


def status_of(health: Health, name: str) -> str:
    return next(s.status for s in health.check_states if s.check.name == name)


async def test_what_comes_after_is_not_asked_while_that_fails(caplog):
    broken, asked = True, 0

    async def database() -> None:
        if broken:
            raise OSError("away")

    async def schema() -> None:
        nonlocal asked
        asked += 1

    health = Health()
    health.add("database", database, interval=SOON)
    health.add("schema", schema, interval=SOON, after=["database"])
    async with health:
        await asyncio.sleep(0.1)
        assert (asked, status_of(health, "database"), status_of(health, "schema")) == (
            *(0, "fail", "warn"),
        )
        broken = False
        await until_async(lambda: status_of(health, "schema") == "pass")
    told = [record.getMessage() for record in caplog.records]
    assert told.count("database fails: OSError: away") == 1  # one cause, told once
    assert not any(line.startswith("schema fails") for line in told)


async def test_a_start_knows_the_first_answers():
    async def slow() -> None:
        await asyncio.sleep(0.2)

    health = Health()
    health.add("slow", slow)
    async with health:
        assert status_of(health, "slow") == "pass"


async def test_a_start_does_not_wait_for_what_hangs():
    health = Health()
    health.add("hangs", partial(asyncio.sleep, 3600), timeout=SOON)
    async with asyncio.timeout(2), health:
        assert status_of(health, "hangs") == "fail"


async def test_only_one_run_at_a_time_even_where_the_end_is_ignored():
    running = most = 0

    async def deaf() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3):
            try:
                await asyncio.sleep(0.2)
            except asyncio.CancelledError:
                continue
        running -= 1

    health = Health()
    health.add("deaf", deaf, timeout=SOON, interval=SOON)
    async with health:
        await asyncio.sleep(0.5)
    assert most == 1


def test_mistakes_are_told_where_they_are_made():
    health = Health()
    health.add("a", passing)

    with pytest.raises(ValueError, match="a check named 'a' already"):
        health.add("a", passing)
    with pytest.raises(ValueError, match="no check named 'b'"):
        health.add("c", passing, after=["b"])
    with pytest.raises(TypeError, match="must be an `async def`"):
        health.add("d", lambda: None)  # type: ignore[arg-type,return-value]


async def test_room_on_the_disk(tmp_path):
    free = shutil.disk_usage(tmp_path).free

    assert await disk_space(tmp_path, fail_below=1)() is None
    assert "bytes are free" in str(await disk_space(tmp_path, fail_below=1, warn_below=2 * free)())
    with pytest.raises(OSError, match="bytes are free"):
        await disk_space(tmp_path, fail_below=2 * free)()


async def test_a_server_that_takes_connections_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        await reachable(f"amqp://guest:guest@127.0.0.1:{port}/shop")()
    with pytest.raises(ConnectionRefusedError):
        await reachable(f"amqp://127.0.0.1:{port}")()
    for url in ("", "nothing", "unknown://host"):
        with pytest.raises(ValueError, match="host and a port"):
            reachable(url)
