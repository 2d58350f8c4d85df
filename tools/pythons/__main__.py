"""Run the tests on each Python, piece by piece, and print a line for each piece.

    make pythons
    make pythons ARGS="--only 3.12,3.13 tests/patching tests/problems"

3.11 to 3.13 are taken from pyenv or from the path, and 3.14 and 3.15 from Debian's next release,
which is installed into a folder and removed at the end. Tests run on a copy of the tracked files,
at low priority, one at a time.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pythons.chroot import Chroot, Refused
from release.building import tracked

__all__ = ["main"]

REPOSITORY = Path(__file__).parents[2]
HERE = ("3.11", "3.12", "3.13")
NEXT = ("3.14", "3.15")
PIECES = (
    *("tests/architecture", "tests/patching", "tests/problems", "tests/limits", "tests/health"),
    *("tests/idempotency", "tests/problem_log", "tests/observability", "tests/testing"),
    *("tests/synchronous", "tests/database", "tests/cli", "tests/audit", "tests/uploads"),
    *("tests/servers", "tests/jobs", "tests/docs", "reference/tests"),
)
"""Packages of tests, those that take least first."""

Run = Callable[[Sequence[str]], int]


def main(words: Sequence[str]) -> int:
    """Return 1 where a test failed on a Python or a Python could not be had, and say so."""
    asked = _asked(words)
    signal.signal(signal.SIGTERM, _end)  # so that what was mounted is unmounted
    failed: list[str] = []
    for version in [one for one in HERE if one in asked.only]:
        failed += _with(version, partial(_here, version, asked.pieces))
    if wanted := [one for one in NEXT if one in asked.only]:
        failed += _with(" and ".join(wanted), partial(_next, wanted, asked.pieces))
    print("\n".join(["Failed:", *failed]) if failed else "All passed.")
    return 1 if failed else 0


def _asked(words: Sequence[str]) -> argparse.Namespace:
    every = [*HERE, *NEXT]
    parser = argparse.ArgumentParser(prog="make pythons", description=__doc__)
    parser.add_argument(
        "pieces", nargs="*", default=list(PIECES), help="what pytest is given, one by one"
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=every, help="3.12,3.14"
    )
    asked = parser.parse_args(words)
    if unknown := set(asked.only) - set(every):
        parser.error(f"{min(unknown)} is none of {', '.join(every)}")
    return asked


def _with(version: str, run: Callable[[], list[str]]) -> list[str]:
    try:
        return run()
    except Refused as refused:
        return [f"{version}: {refused}"]


def _end(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _here(version: str, pieces: Sequence[str]) -> list[str]:
    python = found(version)
    with tempfile.TemporaryDirectory(prefix=f"python-{version}-") as folder:
        environment, source = Path(folder) / "env", Path(folder) / "src"
        _copied(source)
        if subprocess.run([python, "-m", "venv", str(environment)], check=False).returncode:
            raise Refused(f"{python} -m venv failed")
        return _tested(version, str(environment), pieces, partial(_run, source))


def _copied(to: Path) -> None:
    for name in tracked(REPOSITORY):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, to / name)


def found(version: str, roots: Sequence[Path] | None = None) -> str:
    """Find the newest Python of a version in pyenv, or on the path.

    Raises:
        Refused: There is none.
    """
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for each in roots if roots is not None else [root / "versions"]:
        kept = sorted(each.glob(f"{version}.*"), key=_parts)
        if kept:
            return str(kept[-1] / "bin/python")
    named = shutil.which(f"python{version}") if roots is None else None
    if named is None:
        raise Refused(f"There is no Python {version}. Type: pyenv install {version}")
    return named


def _parts(path: Path) -> list[int]:
    return [int(part) for part in path.name.split(".") if part.isdigit()]


def _next(versions: Sequence[str], pieces: Sequence[str]) -> list[str]:
    packages = [name for each in versions for name in (f"python{each}", f"python{each}-venv")]
    failed: list[str] = []
    with Chroot.made(packages) as chroot:
        _copied(chroot.folder / "src")
        for version in versions:
            environment = f"/env-{version}"
            if chroot.run(f"python{version}", "-m", "venv", environment):
                raise Refused(f"python{version} -m venv failed")
            run = partial(_inside, chroot)
            failed += _tested(version, environment, pieces, run)
    return failed


def _inside(chroot: Chroot, command: Sequence[str]) -> int:
    return chroot.run("sh", "-c", 'cd /src && exec "$@"', "sh", *command)


def _run(folder: Path, command: Sequence[str]) -> int:
    return subprocess.run(command, cwd=folder, check=False).returncode


def _tested(version: str, environment: str, pieces: Sequence[str], run: Run) -> list[str]:
    """Install what is pinned, and run each piece; return the pieces that failed."""
    python = f"{environment}/bin/python"
    pip = [python, "-m", "pip", "install", "-q", "--no-input"]
    ours = ["-e", ".", "-e", "./reference"]
    print(f"{version}: installing", flush=True)
    if run([*pip, "--require-hashes", "-r", "requirements-dev.txt"]) or run(
        [*pip, "--no-deps", "--no-build-isolation", *ours]
    ):
        raise Refused("its requirements cannot be installed")
    return [piece for piece in pieces if _failed(version, python, piece, run)]


def _failed(version: str, python: str, piece: str, run: Run) -> bool:
    tests = ["-m", "pytest", "-n", "1", "--dist", "worksteal", "-rfE", "-p", "no:cacheprovider"]
    started = time.monotonic()
    code = run(["nice", "-n", "15", python, *tests, "--timeout", "300", piece])
    seconds = time.monotonic() - started
    print(f"{version} {piece}: {'failed' if code else 'passed'} in {seconds:.0f} s", flush=True)
    return code != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
