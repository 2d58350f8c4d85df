"""The service of these tests, with words that say what it shall be like."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.server import Server

APP = Path(__file__).with_name("service.py")


@pytest.fixture
def start(serve: Callable[..., Server]) -> Callable[..., Server]:
    """Serve with words for the service, and a database."""

    def run(*, database: str = "", args: list[str] | None = None, **words: Any) -> Server:
        env = {"HEALTH": json.dumps(words), "DATABASE_URL": database}
        return serve(APP, factory=True, args=args or [], env=env)

    return run
