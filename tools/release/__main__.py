"""Build the wheel and the sdist, look into both, and use each extra alone.

    make release-check
    make release-check ARGS="--extras jobs,all --keep dist"

It ends with 1 where anything is wrong, and says all that is.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from release.building import Built, build, differences
from release.contents import refusals_of_sdist, refusals_of_wheel
from release.environments import Environment, tried
from release.metadata import refusals_of_metadata
from release.promises import PROMISES

__all__ = ["main"]

REPOSITORY = Path(__file__).parents[2]
_AT_ONCE = 2
"""Environments that are made at a time: each of them compiles what it installs."""


def main(words: Sequence[str]) -> int:
    """Return 1 where anything is wrong with what would be published, and print what."""
    asked = _asked(words)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        found = _built(Path(folder), asked.keep)
        if asked.extras:
            found += _installed(Path(folder), asked.extras)
    for refusal in found:
        print(f"- {refusal}", file=sys.stderr)
    print(f"{len(found)} refusals." if found else "Ready to be released.")
    return 1 if found else 0


def _asked(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make release-check", description=__doc__)
    parser.add_argument(
        "--extras",
        type=lambda text: [one for one in text.split(",") if one],
        default=list(PROMISES),
        help="which to install, between commas; `none` is no extra, an empty text tries nothing",
    )
    parser.add_argument("--keep", type=Path, help="where to put the wheel and the sdist")
    return parser.parse_args(words)


def _built(folder: Path, keep: Path | None) -> list[str]:
    print("building twice", flush=True)
    first, second = build(REPOSITORY, folder / "first"), build(REPOSITORY, folder / "second")
    print(f"{first.wheel.name}, {first.sdist.name}", flush=True)
    if keep is not None:
        shutil.copytree(first.wheel.parent, keep, dirs_exist_ok=True)
    return [
        *differences(first, second),
        *refusals_of_wheel(first.wheel),
        *refusals_of_sdist(first.sdist),
        *refusals_of_metadata(first.wheel, REPOSITORY),
    ]


def _installed(folder: Path, extras: list[str]) -> list[str]:
    wheel = Built.within(folder / "first").wheel
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    one = partial(_one, folder, wheel, readme)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return [refusal for found in threads.map(one, extras) for refusal in found]


def _one(folder: Path, wheel: Path, readme: str, extra: str) -> list[str]:
    with Environment.made(folder / f"with-{extra}", wheel, extra) as environment:
        found = tried(environment, readme)
    print(f"{extra}: {len(found)} refusals", flush=True)
    return [f"{extra}: {refusal}" for refusal in found]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
