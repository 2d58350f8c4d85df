"""Take mechanisms out of a module, one at a time, and list those that no test near it misses.

    make mutate ARGS="src/roadworthy/jobs/backoff.py"
    make mutate ARGS="src/roadworthy/limits --limit 30 --seconds 1200"

It works in a copy. A survivor is a line that may go, or a test that is not written yet.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutant, mutants
from nearby import module_name, near

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant of a file, and the tests that are to notice it."""

    path: Path
    mutant: Mutant
    tests: list[Path]


def main(words: list[str]) -> int:
    """Return 0, survivors or not; 2 where the tests fail before anything is taken out."""
    asked = _asked(words)
    ends = time.monotonic() + asked.seconds
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copy = Path(folder)
        _copy(asked.root, copy)
        trials = _chosen(asked, copy)
        times = _times(copy, trials)
        if times is None:
            return 2
        survivors = _survivors(copy, trials, times, ends)
        tried = 0
        alive = 0
        for survived in survivors:
            tried += 1
            alive += survived
    print(f"{tried} of {len(trials)} tried, {alive} survived.")
    return 0


def _asked(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="files or folders under src")
    parser.add_argument("--limit", type=int, default=20, help="mutants, chosen by --seed")
    parser.add_argument("--seconds", type=float, default=600, help="start none after these")
    parser.add_argument("--tests", type=int, default=8, help="files of tests a module, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path, default=Path.cwd(), help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _copy(root: Path, to: Path) -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)


def _chosen(asked: argparse.Namespace, copy: Path) -> list[Trial]:
    all_tests = sorted(copy.rglob("test_*.py"))
    trials: list[Trial] = []
    for path in _modules(asked, copy):
        tests = near(module_name(path), all_tests, most=asked.tests)
        trials += [Trial(path, mutant, tests) for mutant in mutants(path.read_text())]
    chosen = random.Random(asked.seed).sample(trials, min(asked.limit, len(trials)))
    return sorted(chosen, key=lambda one: (one.path, one.mutant.line))


def _modules(asked: argparse.Namespace, copy: Path) -> Iterator[Path]:
    for given in asked.paths:
        path = copy / given.absolute().relative_to(asked.root.absolute())
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def _times(copy: Path, trials: list[Trial]) -> dict[Path, float] | None:
    """Run the tests as they are, and tell how long those of each module take."""
    times: dict[Path, float] = {}
    for trial in trials:
        if trial.path not in times:
            began = time.monotonic()
            done = _test(copy, trial.tests, seconds=600)
            if done is None or done.returncode:
                print(f"The tests near {trial.path.relative_to(copy)} fail as it is:")
                print(done.stdout if done else "they take longer than ten minutes")
                return None
            times[trial.path] = time.monotonic() - began
    return times


def _survivors(
    copy: Path, trials: list[Trial], times: dict[Path, float], ends: float
) -> Iterator[bool]:
    for trial in trials:
        if time.monotonic() > ends:
            return
        # A mutant may wait for ever: that is noticed.
        survived = _survives(copy, trial, seconds=3 * times[trial.path] + 20)
        if survived:
            where = f"{trial.path.relative_to(copy)}:{trial.mutant.line}"
            print(f"survived: {where}: {trial.mutant.what}", flush=True)
        yield survived


def _survives(copy: Path, trial: Trial, *, seconds: float) -> bool:
    original = trial.path.read_text()
    trial.path.write_text(trial.mutant.source)
    try:
        done = _test(copy, trial.tests, seconds=seconds)
    finally:
        trial.path.write_text(original)
    return done is not None and done.returncode == 0


def _test(
    copy: Path, tests: list[Path], *, seconds: float
) -> subprocess.CompletedProcess[str] | None:
    """Run tests until the first fails; return None if they do not end in time."""
    if not tests:
        return subprocess.CompletedProcess([], 0, "")
    sources = [str(path) for path in (copy / "src", copy / "reference/src") if path.exists()]
    environment = {
        **os.environ,
        # Before what is installed, which is the original. A compiled file is told by its second.
        "PYTHONPATH": os.pathsep.join(sources),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    with subprocess.Popen(
        command,
        cwd=copy,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            return None
    return subprocess.CompletedProcess(command, process.returncode, output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
