"""The image's steps, as far as they go without an engine that builds and runs images."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deploy.files import DEPLOY, DOCKERFILE
from support.debian import program
from support.fixtures import skipped_without
from support.server import Server
from support.source import REPOSITORY


def pinned(path):
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_what_the_image_holds_is_what_was_tested(name):
    wanted = pinned(DEPLOY / name)
    tested = pinned(REPOSITORY / "requirements-dev.txt")

    assert wanted.items() <= tested.items(), "Type: make lock"
    text = (DEPLOY / name).read_text()
    assert text.count("--hash=sha256:") >= len(wanted)


def test_it_holds_what_depot_needs_and_nothing_of_the_tests():
    wanted = pinned(DEPLOY / "requirements.txt")

    assert {"alembic", "asyncpg", "celery", "fastapi", "obstore", "uvloop"} <= set(wanted)
    assert not {"pytest", "ruff", "mypy", "hypothesis", "roadworthy", "depot"} & set(wanted)


@pytest.mark.soak  # pip downloads what builds them
def test_the_wheels_are_built_as_the_image_builds_them(tmp_path):
    (step,) = re.findall(r"/opt/build/bin/pip (wheel .*) \. \./reference", DOCKERFILE)
    words = step.replace("/wheels", str(tmp_path)).split()
    sources = [REPOSITORY, REPOSITORY / "reference"]
    subprocess.run([sys.executable, "-m", "pip", *words, "-q", *sources], check=True, timeout=100)

    depot, library = sorted(tmp_path.glob("*.whl"))

    assert (depot.name[:6], library.name[:11]) == ("depot-", "roadworthy-")
    names = set(zipfile.ZipFile(depot).namelist())
    assert {"depot/cli.py", "depot/migrations/env.py", "depot/migrations/script.py.mako"} <= names
    assert any(name.startswith("depot/migrations/versions/r0001") for name in names)
    assert (
        "depot = depot.cli:main"
        in zipfile.ZipFile(depot)
        .read(next(name for name in names if name.endswith("entry_points.txt")))
        .decode()
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data directory that is not under /tmp, which is another one inside."""
    path = Path(tempfile.mkdtemp(prefix="depot-", dir="/var/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def confined(folder):
    """The words before a command that runs as in the container."""
    with skipped_without("bubblewrap"):
        bwrap = program("bwrap", package="bubblewrap")
    user, group = re.findall(r"^USER (\d+):(\d+)", DOCKERFILE, re.MULTILINE)[0]
    return [
        *(bwrap, "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *("--tmpfs", "/tmp", "--bind", str(folder), str(folder)),
        # Where the project lies under /tmp, its code is not hidden with that.
        *("--ro-bind", str(REPOSITORY), str(REPOSITORY), "--ro-bind", sys.prefix, sys.prefix),
        *("--unshare-user", "--uid", user, "--gid", group, "--cap-drop", "ALL"),
        *("--chdir", str(folder)),
    ]


@pytest.fixture
def environment(folder):
    known = {k: v for k, v in os.environ.items() if not k.startswith("DEPOT_") and k != "PORT"}
    given = {"DEPOT_DATA_DIR": str(folder), "DEPOT_SHUTDOWN__DRAIN_SECONDS": "0", "TMPDIR": "/tmp"}
    return known | given | {"PYTHONDONTWRITEBYTECODE": "1"}


def health_check(port):
    """Run the image's own health check, for a server on this port, and return its exit code."""
    (words,) = re.findall(r"HEALTHCHECK [^\n]*\\\n\s+CMD (\[.*\])", DOCKERFILE)
    python, *rest = [word.replace("8000", str(port)) for word in json.loads(words)]
    assert python == "python"
    return subprocess.run([sys.executable, *rest], check=False, timeout=10, capture_output=True)


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return probe.getsockname()[1]


def test_with_a_read_only_root_no_root_and_no_privileges_it_serves(
    confined, environment, folder, tmp_path
):
    depot = [sys.executable, "-m", "depot", "serve", "--port", "0", "--workers", "2"]
    started = folder / "started.log"
    server = Server(
        [*confined, *depot],
        log=started,
        env=environment,
        ready=r"Depot is ready on http://[^:]+:(?P<port>\d+)",
        timeout=60,
    )
    try:
        began = time.monotonic()
        done = health_check(server.port)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began < 3
        assert (folder / "depot.db").exists()
        assert "tells of one worker at a time" not in server.log_text()
    finally:
        server.stop(signal.SIGTERM, timeout=30)
    assert "Traceback" not in server.log_text()


def test_what_is_not_there_is_not_healthy():
    assert health_check(free_port()).returncode != 0


def test_the_confinement_is_real(confined):
    """The test above could not fail otherwise."""
    words = "import os; print(os.getuid()); open('/etc/depot-was-here', 'w')"
    done = subprocess.run(
        [*confined, sys.executable, "-c", words], capture_output=True, text=True, check=False
    )

    assert done.stdout == "10001\n"
    assert "Read-only file system" in done.stderr


def test_systemd_is_told_when_it_is_ready(environment, folder):
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(60)
        server = Server(
            [sys.executable, "-m", "depot", "serve", "--port", "0"],
            log=folder / "log",
            env={**environment, "NOTIFY_SOCKET": str(path)},
            ready=r"Depot is ready on http://[^:]+:(?P<port>\d+)",
            timeout=60,
        )
        try:
            assert systemd.recv(100) == b"READY=1"
            assert health_check(server.port).returncode == 0
        finally:
            server.stop()
