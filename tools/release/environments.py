"""Use a wheel with one extra, in an environment that has nothing else."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Self

from release.promises import PROMISES

__all__ = ["Environment", "examples", "tried"]

_BLOCK = re.compile(
    r"^(?:<!-- (?P<comment>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ADVICE = re.compile(r"pip install '?roadworthy\[(?P<extra>[\w-]+)\]")
_FOR_EXAMPLES = "httpx"  # which the examples' TestClient needs, and no user of the library does
_BAD = """
import time

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def show() -> None:
    time.sleep(1)
"""

WALK = """
import importlib, pkgutil, sys
import roadworthy

def names(path, prefix):
    for found in pkgutil.iter_modules(path, prefix):
        yield found.name
        if found.ispkg:
            inner = [f"{each}/{found.name.rpartition('.')[2]}" for each in path]
            yield from names(inner, f"{found.name}.")

for name in names(list(roadworthy.__path__), "roadworthy."):
    before = set(sys.modules)
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(f"{name}: {error}")
        for half in set(sys.modules) - before:
            if half.startswith("roadworthy"):
                del sys.modules[half]
"""
"""Prints what each module says that cannot be imported."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with the wheel and one extra."""

    folder: Path
    extra: str

    @classmethod
    @contextmanager
    def made(cls, folder: Path, wheel: Path, extra: str) -> Generator[Self]:
        """Make the environment, and remove it at the end."""
        wanted = str(wheel) if extra == "none" else f"roadworthy[{extra}] @ {wheel.as_uri()}"
        uv = shutil.which(
            "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )
        for command in _commands(uv, folder, [wanted, _FOR_EXAMPLES]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        try:
            yield cls(folder, extra)
        finally:
            shutil.rmtree(folder)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the environment, in a folder of its own, with nothing of this one's."""
        home = self.folder / "work"
        home.mkdir(exist_ok=True)
        python = self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        command = [str(python), "-I", *words]
        return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)


def tried(environment: Environment, readme: str) -> list[str]:
    """Say what does not do in an environment what this extra promises."""
    return [
        *_promise(environment),
        *_modules(environment),
        *_examples(environment, readme),
        *_audit(environment),
    ]


def examples(readme: str) -> Iterator[tuple[str, str | None]]:
    """Yield the Python of a page that runs as it stands, with what the page says is printed."""
    code: list[str] = []
    for block in _BLOCK.finditer(readme):
        if block["language"] == "python":
            code = [*code, block["text"]] if block["comment"] == "continues" else [block["text"]]
            yield "".join(code), _printed(readme, block.end())


def _printed(readme: str, end: int) -> str | None:
    after = _BLOCK.search(readme, end)
    return after["text"] if after and after["comment"] == "prints" else None


def _commands(uv: str | None, folder: Path, wanted: Sequence[str]) -> list[list[str]]:
    """Return what makes an environment: uv does in a second what takes pip half a minute."""
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    if uv is None:
        install = [python, "-m", "pip", "install", "-q", "--no-input", *wanted]
        return [[sys.executable, "-m", "venv", str(folder)], install]
    make = [uv, "venv", "-q", "--python", sys.executable, str(folder)]
    return [make, [uv, "pip", "install", "-q", "--python", python, *wanted]]


def _promise(environment: Environment) -> list[str]:
    done = environment.run("-c", dedent(PROMISES[environment.extra]))
    return [f"its promise is not kept: {_last(done.stderr)}"] if done.returncode else []


def _modules(environment: Environment) -> list[str]:
    done = environment.run("-c", WALK)
    said = [line for line in done.stdout.splitlines() if not _advises_another(line, environment)]
    return [*said, *([f"a module: {_last(done.stderr)}"] if done.returncode else [])]


def _examples(environment: Environment, readme: str) -> list[str]:
    found: list[str] = []
    for number, (code, prints) in enumerate(examples(readme), 1):
        done = environment.run("-c", code)
        if done.returncode and not _lacks(done.stderr, environment):
            found.append(f"example {number} of the README: {_last(done.stderr)}")
        elif not done.returncode and prints not in {None, done.stdout}:
            found.append(f"example {number} of the README prints {done.stdout!r}")
    return found


def _audit(environment: Environment) -> list[str]:
    file = environment.folder / "work" / "bad.py"
    file.write_text(_BAD, encoding="utf-8")
    done = environment.run("-m", "roadworthy.cli", "audit", str(file))
    if done.returncode != 1 or "RW701" not in done.stdout:
        return [f"roadworthy audit ends with {done.returncode}: {_last(done.stdout + done.stderr)}"]
    return []


def _advises_another(text: str, environment: Environment) -> bool:
    """Return whether a text says what to install, and that is not what was installed."""
    advised = {match["extra"] for match in _ADVICE.finditer(text)}
    if environment.extra == "all":  # which brings everything but what only tests need
        return advised == {"testing"}
    return bool(advised) and environment.extra not in advised


def _lacks(text: str, environment: Environment) -> bool:
    """Return whether an example wants a library that only another extra brings."""
    return environment.extra != "all" and _last(text).startswith("ModuleNotFoundError: ")


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]
