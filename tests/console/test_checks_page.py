"""Checks shows how each check stands, why, and how it was before, as this process knows it."""

import re
from datetime import UTC, datetime

from console.shop import opened
from roadworthy.health import Health
from roadworthy.health.check import CheckResult


async def fine() -> None: ...


async def away() -> None:
    raise OSError("no route to <host>")


async def test_each_check_has_its_state_reason_latency_and_history():
    health = Health(version="1.4.1")
    health.add("database", fine)
    health.add("mail", away, critical=False, failures=1)
    async with opened(health) as client:
        state = next(one for one in health.check_states if one.check.name == "database")
        for seconds in (0.010, 0.250):
            at = datetime.now(UTC)
            state.record(CheckResult(status="fail", at=at, seconds=seconds, reason="gone"))
        page = (await client.get("/ops/checks")).text
    assert re.findall(r'class="tight">(\S+) ', page)[:2] == ["database", "mail"]
    assert "no route to &lt;host&gt;" in page
    assert "<host>" not in page
    assert "not ready: no traffic" in page
    assert "degraded, still ready" in page
    assert "took 250 ms at most; 2 failed" in page
    assert page.count('class="mark"') >= 2
    assert "version 1.4.1" in page
    assert "style=" not in page


async def test_there_is_no_such_page_without_health():
    async with opened() as client:
        assert (await client.get("/ops/checks")).status_code == 404
