"""What is forked is a process like one that is started anew, only sooner."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from support import forked, zygote
from support.polling import until

TELLS = """
import json, multiprocessing, os, signal, sys

def square(number):
    return number * number

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        squared = pool.map(square, [3])
    print(json.dumps({
        "squared": squared,
        "arguments": sys.argv[1:],
        "folder": os.getcwd(),
        "first": sys.path[:2],
        "environment": dict(os.environ),
        "parent": os.getppid(),
        "group": os.getpgid(0) == os.getpid(),
        "files": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "input": sys.stdin.read(),
        "main": __spec__.name,
        "flags": [sys.flags.dont_write_bytecode, sys.flags.optimize],
    }))
    print("said", file=sys.stderr)
    sys.exit(7)
"""


@pytest.fixture
def told(tmp_path: Path):
    """Return what a program says of itself, and how it ended."""
    (tmp_path / "tells.py").write_text(TELLS)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "/nowhere", "ours": "yes"}
    kept = {k: v for k, v in os.environ.items() if k.startswith("PYTHON") and k != "PYTHONPATH"}

    def tell(module, **options):
        command = [sys.executable, "-m", "tells", "a", "--b"]
        done = module.run(
            command,
            cwd=tmp_path,
            env=kept | environment,
            input="hello",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **options,
        )
        return json.loads(done.stdout), done.stderr, done.returncode

    return tell


@pytest.mark.parametrize("session", [False, True])
def test_a_program_cannot_tell_whether_it_was_forked(told, session):
    assert told(forked, start_new_session=session) == told(subprocess, start_new_session=session)


def test_what_is_imported_before_has_the_names_of_today():
    assert [name for name in zygote.IMPORTED if find_spec(name) is None] == []


def test_it_is_forked_indeed():
    zygote = forked._zygote()
    command = [sys.executable, "-m", "asyncio"]
    with forked.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.kill()

    assert words == Path(f"/proc/{zygote._process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_it_ends_by_a_signal(tmp_path, number):
    (tmp_path / "waits.py").write_text("print('up', flush=True)\nimport time\ntime.sleep(60)")
    command = [sys.executable, "-m", "waits"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    with forked.Popen(command, **options) as process:
        assert process.stdout.readline() == b"up\n"
        assert process.poll() is None
        process.send_signal(number)

        assert process.wait(10) == -number


LEAVES_A_FORK = """
import os, signal, sys
from support import forked

forked.run([sys.executable, "-m", "asyncio"], input=b"", capture_output=True)
print(forked._zygote()._process.pid, flush=True)
if not os.fork():
    os.read(0, 1)
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_forks_ends_with_the_tests_although_a_fork_of_them_goes_on():
    command = [sys.executable, "-c", LEAVES_A_FORK]
    path = {"PYTHONPATH": str(Path(forked.__file__).parent.parent)}
    both = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=os.environ | path, **both) as process:
        pid = int(process.stdout.readline())
        process.wait()
        until(lambda: not Path(f"/proc/{pid}").exists())


def test_what_cannot_run_says_why():
    done = forked.run(
        [sys.executable, "-m", "no_such_module"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "No module named no_such_module" in done.stderr


def test_an_exception_is_an_exit_code_and_a_traceback(tmp_path):
    (tmp_path / "fails.py").write_text(
        textwrap.dedent("""
            import atexit
            atexit.register(print, "at exit")
            raise ValueError("no such luck")
        """)
    )
    command = [sys.executable, "-m", "fails"]
    done = forked.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "at exit\n")
    assert done.stderr.endswith("ValueError: no such luck\n")


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ([sys.executable, "-c", "pass"], {}),
        ([sys.executable, "-m", "json.tool", "--help"], {"env": {"PYTHONOPTIMIZE": "1"}}),
        ([sys.executable, "-m", "json.tool", "--help"], {"env": {"LD_PRELOAD": ""}}),
        (["true"], {}),
    ],
)
def test_other_programs_are_started_anew(command, options, monkeypatch):
    monkeypatch.setattr(forked, "_zygote", None)  # nobody may ask it

    done = forked.run(command, capture_output=True, check=True, **options)
    assert done.returncode == 0
