"""The command starts fast: it imports nothing of what it audits, nor of what it is part of."""

import json
import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage

LOADED = """
import sys
from roadworthy.cli import main
code = main(sys.argv[1:])
import json
print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)
"""
HEAVY = {"fastapi", "starlette", "pydantic", "pydantic_core", "sqlalchemy", "anyio", "libcst"}


def test_an_audit_loads_neither_fastapi_nor_pydantic_nor_sqlalchemy(project):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "audit", str(project.folder)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "RW201" in done.stdout
    assert set(json.loads(done.stderr)) & HEAVY == set()


def test_the_command_is_loaded_in_80_milliseconds():
    """Of a processor, because others may use it as well meanwhile."""
    nothing, command = "pass", "import roadworthy.cli.audit.command"
    bare = min(seconds(nothing) for _ in range(5))
    ours = min(seconds(command) for _ in range(5))

    assert ours - bare < 0.08


def seconds(code: str) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
