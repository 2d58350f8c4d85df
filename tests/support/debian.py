"""Find a program that a test needs, or install it where that is possible."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["Unavailable", "program"]


class Unavailable(Exception):
    """A program could not be found or installed, and why."""


def program(*names: str, package: str) -> str:
    """Return the path of the first of these programs that there is.

    As root on Debian and Ubuntu, `package` is installed where there is none.

    Raises:
        Unavailable: There is none, and it could not be installed.
    """
    if found := _find(names):
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable(f"{names[0]} is not installed, and only root may install it")
    _install(names, package)
    if found := _find(names):
        return found
    raise Unavailable(f"{names[0]} is not installed, and apt-get could not install it")


def _find(names: tuple[str, ...]) -> str | None:
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def _install(names: tuple[str, ...], package: str) -> None:
    # Several test processes may come here at once; the first installs.
    with (Path(tempfile.gettempdir()) / "roadworthy-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _find(names):
            _apt_get("update")
            _apt_get("install", "-y", "--no-install-recommends", package)


def _apt_get(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", *arguments]
    with suppress(subprocess.TimeoutExpired):  # judged by what is installed afterwards
        subprocess.run(command, env=environment, capture_output=True, timeout=240, check=False)
