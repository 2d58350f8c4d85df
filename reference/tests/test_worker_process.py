"""A worker of an engine that does not begin any more is somebody else's to start."""

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from depot.stopping import Grace
from depot.workers import process
from depot.workers.process import BrokerWorker

BEGINS_ONCE = """#!/bin/sh
echo began >> "{log}"
test "$(wc -l < "{log}")" = 1 && echo ready
exit 3
"""


async def test_it_stops_all_of_us_when_others_end_before_they_are_ready(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log, program = tmp_path / "log", tmp_path / "program"
    program.write_text(BEGINS_ONCE.format(log=log))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(process, "FIRST_PAUSE", 0.01)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    grace = Grace(*[timedelta(0)] * 3)

    async with BrokerWorker("any", grace, queues=["default"]) as worker:
        await asyncio.wait_for(told.wait(), 20)

    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    assert worker.died
    assert log.read_text().split() == ["began"] * (1 + process.TRIES)
