"""The plain service as it runs: two servers and two workers, hurt like Depot's."""

import os
import sys
from pathlib import Path
from secrets import token_hex
from typing import Final

from faults.site import Site

__all__ = ["PlainSite"]

_TESTS: Final = Path(__file__).parents[2]


class PlainSite(Site):
    """The same as `Site`, with FastAPI and Celery or RQ alone."""

    _ready = (
        r"(running on http://[^:]+:(?P<port>\d+)"  # uvicorn
        r"|celery@\S+ ready\.|plain-\S+ ready\.|Listening on)"
    )

    def _server_words(self, port: int) -> list[str]:
        service = "faults.plain.service:app"
        return [sys.executable, "-m", "uvicorn", "--port", str(port), service]

    def _worker_words(self) -> list[str]:
        if self._stack.engine == "rq":
            program = Path(sys.executable).with_name("rq")
            return [str(program), "worker", "--url", self._shared["PLAIN_BROKER"]]
        name = f"plain-{token_hex(4)}@%h"
        celery = [sys.executable, "-m", "celery", "-A", "faults.plain.celery_app"]
        return [*celery, "worker", "--hostname", name, "--concurrency", "2", "--loglevel", "INFO"]

    def _environment(self) -> dict[str, str]:
        mail = self.data / "mail"
        mail.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(filter(None, [str(_TESTS), os.environ.get("PYTHONPATH", "")]))
        return {
            "PYTHONPATH": path,
            "PLAIN_DATABASE": self.database.replace("postgresql:", "postgresql+psycopg:"),
            "PLAIN_ENGINE": self._stack.engine,
            "PLAIN_MAIL": str(mail),
            **self._shared,
        }
