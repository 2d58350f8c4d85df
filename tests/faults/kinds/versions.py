"""What happens when the next version is rolled out: two of them run on one database.

The next version is made from this one: a migration adds a column that may be empty and a
table, its code writes the column, and one of its tasks has a new version with one more
argument. So old workers find jobs that they do not know, and new ones find old jobs.
"""

import shutil
import time
from pathlib import Path
from typing import Final

from faults.kinds.fault import Fault, Scene
from faults.site import SOURCE, is_ready, why_not

__all__ = ["FAULTS", "next_version"]

_MIGRATION: Final = Path(__file__).parents[1] / "next_version" / "r0008_channels.py"
_SCHEMA_IS_LOOKED_AT: Final = 16.0
"""Seconds: the check of the schema comes every 15."""
_CHANGES: Final = (
    (
        "orders/rows.py",
        "    invoice: Mapped[",
        "    channel: Mapped[str | None] = mapped_column(String(16))\n    invoice: Mapped[",
    ),
    (
        "orders/placing.py",
        '        status="accepted",',
        '        status="accepted", channel="web",',
    ),
    (
        "users/tasks.py",
        '    name="users.record_action",',
        '    name="users.record_action",\n    version=2,\n    upgrade=_UPGRADED,',
    ),
    (
        "users/tasks.py",
        "\n@task(",
        '\n_UPGRADED = lambda _, old: {**old, "channel": "-"}\n\n@task(',
    ),
    ("users/tasks.py", "at: datetime\n)", "at: datetime, channel: str\n)"),
    ("users/routes.py", "at=times.now())", 'at=times.now(), channel="web")'),
)
"""File, what stands there, and what shall."""


def next_version(folder: Path) -> Path:
    """Copy Depot's code, and change it to what might be its next version."""
    source = folder / "next"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    depot = source / "depot"
    shutil.copy(_MIGRATION, depot / "migrations" / "versions")
    for name, old, new in _CHANGES:
        text = (depot / name).read_text()
        assert text.count(old) == 1, f"{name} has changed: no longer one {old!r}"
        (depot / name).write_text(text.replace(old, new))
    return source


def _rolled_out(scene: Scene) -> None:
    site, new = scene.site, next_version(scene.folder)
    site.use(new)
    site.migrate()
    _stay_ready(site.urls, seconds=_SCHEMA_IS_LOOKED_AT)
    site.replace_server(0)
    time.sleep(2)  # both serve, and nobody knows the new jobs yet
    site.replace_worker(0)
    time.sleep(2)  # both work
    site.use(SOURCE)
    site.kill_worker(1, tree=True)  # this version starts on the next one's schema
    site.use(new)
    site.replace_server(1)
    site.replace_worker(1)


def _stay_ready(urls: list[str], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for url in urls:
            assert is_ready(url), why_not(url)
        time.sleep(0.5)


FAULTS: Final = (
    Fault(
        name="two_versions",
        text="the next version migrates, runs beside this one, and replaces it",
        happen=_rolled_out,
        on=("postgresql", "celery_rabbitmq", "celery_redis", "rq_redis"),
        needs=frozenset({"two versions"}),
        unnoticed=True,
    ),
)
