"""The tables of jobs, and every statement that reads or writes them.

Import from the modules here: `from roadworthy.jobs.table.states import State`. The name
`roadworthy.jobs.table` itself is the SQLAlchemy table of jobs, which users write queries with;
it is defined in `tables.py`.
"""

__all__: list[str] = []
