"""Run the test suite of FastAPI or Starlette plainly and under our parts, and compare.

    python tests/peers/run.py --fastapi path/to/checkout [--parts problems] [-- pytest arguments]

What differs is explained by docs/how-to/errors.md, stands in `differences.toml` with its reason,
or is a fault: then the exit code is 1. So it is for a reason that no test needs any more.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import compare

HERE = Path(__file__).parent
ALL = "health,limits,telemetry,lifespan,problems"


def main() -> int:
    options = _options()
    suite = "fastapi" if options.fastapi else "starlette"
    checkout = Path(options.fastapi or options.starlette or ".").resolve()
    if not (checkout / "tests").is_dir():
        print(f"No tests in {checkout}: give a checkout, or an unpacked sdist.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary)
        if not (folder / "plain").is_dir():
            _run(checkout, "", folder / "plain", options.arguments)
        _run(checkout, options.parts, folder / "ours", options.arguments)
        plain, ours = compare.read(folder / "plain"), compare.read(folder / "ours")
    known = tomllib.loads((HERE / "differences.toml").read_text())[suite]
    return _report(plain, ours, known, whole=not options.arguments and options.parts == ALL)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fastapi", help="a checkout of FastAPI")
    parser.add_argument("--starlette", help="a checkout of Starlette")
    parser.add_argument("--parts", default=ALL, help=f"what to install, by default {ALL}")
    parser.add_argument(
        "--keep", help="a folder for what clients were answered; its plain run is used again"
    )
    parser.add_argument("arguments", nargs="*", help="for pytest: narrows both runs")
    return parser.parse_args()


def _run(checkout: Path, parts: str, record: Path, arguments: list[str]) -> None:
    """Run the suite, each test in the same way, with `parts` on every application."""
    shutil.rmtree(record, ignore_errors=True)
    record.mkdir(parents=True)
    src = HERE.parent.parent / "src"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--timeout=60", "-p", "plugin"]
    command += ["-p", "no:cacheprovider", "-p", "no:roadworthy", "-o", "addopts=", "-Wdefault"]
    command += ["--ignore=tests/benchmarks", "--ignore=tests/memory_benchmarks"]
    subprocess.run(
        [*command, *(arguments or ["tests"])],
        cwd=checkout,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(src), str(checkout)]),
            "PEERS_PARTS": parts,
            "PEERS_RECORD": str(record.resolve()),
        },
        stdout=(record / "output.txt").open("w"),
        check=False,
    )


def _report(
    plain: compare.Run, ours: compare.Run, known: dict[str, dict[str, str]], *, whole: bool
) -> int:
    passed = {name for name, told in plain.items() if told.outcome == "passed"}
    differ = sorted(name for name in passed if name not in ours or ours[name].outcome == "failed")
    causes = {name: _cause(name, plain, ours) for name in differ}
    patterns = {test: why for why, group in known.items() for test in group["tests"]}
    listed = {name: why for name in differ if (why := _listed(name, patterns))}
    print(f"{len(passed)} tests pass without us, {len(passed) - len(differ)} under our parts.")
    for cause, count in Counter(listed.get(n, c) for n, c in causes.items()).most_common():
        print(f"{count:6}  {cause}")
    faults = [n for n in differ if causes[n] not in compare.CAUSES and n not in listed]
    for name in faults:
        print(f"\n{name}\n{ours[name].why if name in ours else 'did not run'}")
    stale = [p for p in patterns if whole and not any(_fits(p, name) for name in differ)]
    for name in stale:
        print(f"Listed in differences.toml, and no longer different: {name}")
    print(f"{len(faults)} unexplained, {len(stale)} listed in vain.")
    return 1 if faults or stale else 0


def _listed(name: str, patterns: dict[str, str]) -> str | None:
    return next((why for pattern, why in patterns.items() if _fits(pattern, name)), None)


def _fits(pattern: str, name: str) -> bool:
    """Return whether a pattern matches, in which only `*` is special: names hold brackets."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _cause(name: str, plain: compare.Run, ours: compare.Run) -> str:
    return compare.cause_of(plain[name], ours[name]) if name in ours else "did not run"


if __name__ == "__main__":
    sys.exit(main())
