"""`UsedOnce`: what may happen once, in whichever process of this machine comes first."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Final

__all__ = ["UsedOnce"]

_PREFIX: Final = "roadworthy-used-"


class UsedOnce:
    """Remember ids in empty files of the folder for temporary files, until they mean nothing.

    A file is made or it is not, and never by two: so the workers of a server agree, and a
    restart changes nothing.
    """

    def first(self, id_: str, *, until: float) -> bool:
        """Return whether this id is seen for the first time; it is remembered until then.

        Args:
            id_: Any text.
            until: Seconds since 1970 from which on nobody asks for the id any more.
        """
        folder = Path(tempfile.gettempdir())
        self._forget(folder)
        name = hashlib.sha256(id_.encode()).hexdigest()[:32]
        path = folder / f"{_PREFIX}{int(until) + 1}-{name}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError:  # it is there, or no file can be made: then nobody gets in by it
            return False
        return True

    def _forget(self, folder: Path) -> None:
        for path in folder.glob(f"{_PREFIX}*"):
            until = path.name.removeprefix(_PREFIX).partition("-")[0]
            if until.isdecimal() and int(until) < time():
                with suppress(OSError):  # of another user of this machine
                    path.unlink()
