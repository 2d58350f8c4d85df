"""Programs that import the tables of jobs by their older path go on."""

from roadworthy import jobs
from roadworthy.jobs import tables


def test_the_tables_are_the_same_by_either_path():
    assert tables.table is jobs.table
    assert tables.metadata is jobs.metadata
    assert tables.schedules is jobs.metadata.tables["roadworthy_job_schedules"]
