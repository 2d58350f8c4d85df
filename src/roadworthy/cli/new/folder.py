"""Write a folder whole, or not at all."""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from roadworthy.cli.parsing import Mistake

__all__ = ["refuse_to_overwrite", "write_folder"]


def write_folder(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files into a folder that is not there, or empty; on a failure nothing is left.

    Raises:
        Mistake: There is something already, or it cannot be written.
    """
    refuse_to_overwrite(folder)
    # Beside its place, so that one step moves it there.
    unfinished = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        _write(unfinished, texts)
        if folder.exists():
            folder.rmdir()  # Windows moves nothing to where something is; fails if it is not empty
        unfinished.rename(folder)
    except OSError as error:
        raise Mistake(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def refuse_to_overwrite(folder: Path) -> None:
    """Refuse a path where something is that was not made here.

    Raises:
        Mistake: There is a file, a link, or a folder that is not empty.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Mistake(f"There is a {folder} already. Type another name, or move that away.")
    if folder.is_dir() and any(folder.iterdir()):
        raise Mistake(f"The folder {folder} is not empty. Type another name, or move that away.")


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
