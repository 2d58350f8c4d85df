"""Files that look like code and are not read: notebooks, pipes and devices."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from roadworthy.audit.model.result import Skipped
from roadworthy.audit.source.discovery import is_ours

__all__ = ["unread_files"]

NOTEBOOK: Final = "a notebook is not read; save it as a script (jupyter nbconvert --to script)"
_NO_FILE: Final = "this is no regular file"


def unread_files(paths: Sequence[Path], home: Path) -> tuple[Skipped, ...]:
    """Return the notebooks, pipes and devices under some paths, relative to a folder."""
    found = {file for path in paths for file in _under(path)}
    return tuple(Skipped(_shown(file, home), _reason(file)) for file in sorted(found))


def _under(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if _is_notebook(path.name) or not path.is_file():
            yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if is_ours(folder, name)]
        for name in names:
            if _is_notebook(name) or (name.endswith(".py") and not Path(folder, name).is_file()):
                yield Path(folder, name)


def _is_notebook(name: str) -> bool:
    return name.endswith(".ipynb")


def _reason(file: Path) -> str:
    if file.is_symlink() and not file.exists():
        return "this link leads nowhere"
    return NOTEBOOK if _is_notebook(file.name) and file.is_file() else _NO_FILE


def _shown(file: Path, home: Path) -> str:
    return (file.relative_to(home) if file.is_relative_to(home) else file).as_posix()
