"""Services that `roadworthy new` writes, for tests that read and run them."""

import itertools
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from roadworthy.cli.new.files import PARTS, files_of
from roadworthy.cli.new.folder import write_folder
from roadworthy.cli.new.names import names_of

__all__ = ["COMBINATIONS", "Choice", "Generated"]


@dataclass(frozen=True)
class Choice:
    """What is said to `roadworthy new` behind the name."""

    parts: tuple[str, ...] = ()
    postgresql: bool = False
    sync: bool = False

    def __str__(self) -> str:
        database = "postgresql" if self.postgresql else "sqlite"
        return "-".join([*self.parts, database, "sync" if self.sync else "async"])


COMBINATIONS = [
    Choice(parts, postgresql=postgresql, sync=sync)
    for count in range(len(PARTS) + 1)
    for parts in itertools.combinations(PARTS, count)
    for postgresql in (False, True)
    for sync in (False, True)
]


class Generated:
    """A service in a folder: `root`, `package`, and the environment to run it in.

    It is not installed: its folder is on the path, and so is what tells its version.
    """

    def __init__(self, folder: Path, choice: Choice, *, name: str = "my-shop") -> None:
        names = names_of(name)
        self.root, self.package = folder / name, names.package
        write_folder(
            self.root,
            files_of(names, parts=choice.parts, postgresql=choice.postgresql, sync=choice.sync),
        )
        self._metadata = folder / "installed"
        installed = self._metadata / f"{self.package}-0.1.0.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n"
        )

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of a process that imports the service."""
        path = os.pathsep.join(map(str, (self.root, self._metadata)))
        return {**os.environ, "PYTHONPATH": path, **more}

    def command(self, module: str, *words: str) -> list[str]:
        """Return the command that runs a module with this Python."""
        return [sys.executable, "-m", module, *words]
