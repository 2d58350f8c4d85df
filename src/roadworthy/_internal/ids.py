"""`new_id`: ids that sort by time."""

import os
import time
from uuid import UUID

__all__ = ["new_id"]


def new_id(moment: float | None = None) -> str:
    """Return a UUID of version 7 (RFC 9562 §5.7).

    It sorts by time, so what is inserted together is stored together.
    """
    nanoseconds = time.time_ns() if moment is None else int(moment * 10**9)
    milliseconds, rest = divmod(nanoseconds, 10**6)
    # §6.2, method 3: jobs of one process keep their order within a millisecond, too.
    fraction = (rest << 12) // 10**6
    random = int.from_bytes(os.urandom(8))
    value = (milliseconds & (2**48 - 1)) << 80 | fraction << 64 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))
