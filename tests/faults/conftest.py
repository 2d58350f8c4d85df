"""The table of faults: each test adds a row, and who asks for it gets it as a file."""

import os
from pathlib import Path

import pytest

from faults.table import ROWS, written


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write the table to the file that FAULTS_TABLE names."""
    named = os.environ.get("FAULTS_TABLE")
    if named and ROWS:
        Path(named).write_text(written())
