"""Programs that import the tables of jobs by their older path go on."""

import subprocess
import sys

import pytest

from roadworthy import jobs
from roadworthy.jobs import tables


def test_the_tables_are_the_same_by_either_path():
    assert tables.table is jobs.table
    assert tables.metadata is jobs.metadata
    assert tables.schedules is jobs.metadata.tables["roadworthy_job_schedules"]


@pytest.mark.parametrize(
    "first",
    ["roadworthy.jobs", "roadworthy.jobs.table", "roadworthy.jobs.table.states"],
)
def test_the_table_is_no_package_whichever_module_is_imported_first(first):
    code = (
        f"import {first}, roadworthy.jobs.table as named; from roadworthy.jobs import table; "
        "print(table.name, named is table)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["roadworthy_jobs", "True"]
