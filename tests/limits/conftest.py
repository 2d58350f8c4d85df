"""The service of these tests, with the limits that it shall have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.server import Server

APP = Path(__file__).with_name("service.py")


@pytest.fixture
def start(serve: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """Serve with limits; times are seconds."""

    def run(**words: Any) -> Server:
        env = {"LIMITS": json.dumps(words), "FOLDER": str(tmp_path)}
        return serve(APP, factory=True, env=env)

    return run
