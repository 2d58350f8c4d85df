"""Announce that Depot is ready: on its output, and to systemd where that asks for it."""

import os
import socket
import sys
from contextlib import suppress

__all__ = ["say"]


def say(sentence: str) -> None:
    """Print the sentence, and tell systemd (`Type=notify`) that the service has started."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
    if address := os.environ.get("NOTIFY_SOCKET"):
        # @: in the abstract namespace of Linux, which begins with a zero.
        address = f"\0{address[1:]}" if address.startswith("@") else address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(b"READY=1", address)
