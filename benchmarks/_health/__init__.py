"""The proofs of `benchmarks/health.py`, and the peers they run."""

import os
import sys
from pathlib import Path

# `support` starts servers for tests, and for these.
sys.path.append(str(Path(__file__).parents[2] / "tests"))


CORES = sorted(os.sched_getaffinity(0))
"""The first one is for servers, the others are for clients."""
