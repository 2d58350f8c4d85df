"""The worker process of a broker, seen from inside: say that it is ready, end with its parent."""

import os
import signal
import sys
import threading
from typing import Final

__all__ = ["READY", "announce", "end_with_parent"]

READY: Final = b"ready\n"
"""The line that a worker process writes when it takes jobs."""


def announce(**_: object) -> None:
    """Tell the parent process that this worker takes jobs."""
    os.write(sys.stdout.fileno(), READY)


def end_with_parent() -> None:
    """End this process, as SIGTERM does, when its parent process is gone."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    # Not with sys.stdin: forked processes close that, and would wait for this thread's lock.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
