"""What worker processes run in the tests of `Processes`: they import it by name."""

import ctypes
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# What takes long to import is imported where it is needed: most tests start a process.

setups = 0
kept = []


def set_up():
    global setups  # noqa: PLW0603 - what is counted is the state of the process
    setups += 1


def set_up_slowly():
    time.sleep(0.5)


def fail_to_set_up():
    raise LookupError("no configuration")


def forget_the_parent():
    """Undo what has Linux kill the process: only the portable way is left."""
    ctypes.CDLL(None).prctl(1, 0)


def count_setups():
    return setups


def pid():
    return os.getpid()


def pid_after(seconds):
    time.sleep(seconds)
    return os.getpid()


def interval(seconds):
    started = time.monotonic()
    time.sleep(seconds)
    return started, time.monotonic()


def announce_and_sleep(file):
    """Write the process id once it runs, then take too long."""
    announce(file)
    time.sleep(60)


def announce_and_spin(file):
    announce(file)
    while True:
        pass


def announce_and_hold_the_lock(file):
    """Spend minutes in C without giving the interpreter's lock back."""
    announce(file)
    backtrack(200)


def announce_and_start_a_program(file):
    program = subprocess.Popen(["sleep", "60"])
    announce(file, program.pid)
    program.wait()


def announce_and_fork(file):
    """Have a process that inherited everything, in a group of its own, and crash."""
    forked = os.fork()
    if not forked:
        os.setsid()
        time.sleep(60)
    announce(file, forked)
    crash()


def announce_and_wait(file, go):
    announce(file)
    while not Path(go).exists():
        time.sleep(0.01)
    return "went to its end"


def announce(file, number=None):
    part = Path(f"{file}.part")
    part.write_text(str(number or os.getpid()))
    part.rename(file)


def terminate_a_program():
    program = subprocess.Popen(["sleep", "60"])
    program.terminate()
    return program.wait(10)


def backtrack(length):
    return re.match(r"(a+)+$", "a" * length + "b")


def crash():
    ctypes.string_at(0)


def leave(code):
    os._exit(code)


def add_a_line_and_leave(file):
    with Path(file).open("a") as lines:
        lines.write("ran\n")
    os._exit(1)


def ask_to_leave(code):
    sys.exit(code)


def interrupt():
    raise KeyboardInterrupt


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def allocate(size):
    return len(bytearray(size))


def keep(size):
    kept.append(bytearray(size))


def allocate_in_threads(count):
    go = threading.Event()
    threads = [threading.Thread(target=go.wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    return count


def zeros(size):
    return bytes(size)


def numbers(count):
    return [float(number) for number in range(count)]


def size_of(data):
    return len(data)


def pipes():
    """Return what this process has open, but for standard input, output and error."""
    links = {int(file.name): read_link(file) for file in Path("/proc/self/fd").iterdir()}
    return {link for number, link in links.items() if number > 2 and link.startswith("pipe:")}


def read_link(file):
    try:
        return str(file.readlink())
    except FileNotFoundError:  # it was open to list the others
        return ""


def priority():
    return os.nice(0)


def request_id():
    from roadworthy.problems import request_ids

    return request_ids.request_id()


def report_often(seconds):
    """Report as fast as that goes; return how often."""
    from roadworthy.jobs.processes.pool import report

    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        count += 1
        report(0.5, f"step {count}")
    report(1, "the last")
    return count


def report_once_and_wait(go):
    from roadworthy.jobs.processes.pool import report

    report(0.25, "a quarter")
    while not Path(go).exists():
        time.sleep(0.01)


def report_from_a_thread():
    """Try it after the call that started the thread; keep what came of it."""
    from roadworthy.jobs.processes.pool import report

    def late():
        time.sleep(0.3)
        try:
            report(0.9)
        except RuntimeError as error:
            kept.append(error)

    threading.Thread(target=late).start()


def what_was_kept():
    return kept


class OutOfPaper(Exception):
    pass


@dataclass(frozen=True)
class Frozen(Exception):
    page: int


class NeedsTwo(Exception):
    """Can be pickled, but not made again from its `args`."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class HoldsALock(Exception):
    def __init__(self):
        super().__init__("cannot be pickled")
        self.lock = threading.Lock()


class FailsToLoad:
    """Can be pickled, and fails where that is read."""

    def __reduce__(self):
        return fail_to_load, (os.getpid(),)


def fail_to_load(origin):
    if os.getpid() != origin:
        raise ValueError("not here")


def print_page(page):
    raise OutOfPaper(page)


def raise_frozen():
    raise Frozen(7)


def raise_needs_two():
    raise NeedsTwo("one", "two")


def raise_holds_a_lock():
    raise HoldsALock


def return_a_lock():
    return threading.Lock()


def return_what_fails_to_load():
    return FailsToLoad()


async def coroutine():
    pass


class Replacement:
    """What a decorator such as `@task` puts in the place of a function."""

    def __init__(self, function):
        functools.update_wrapper(self, function)


class Nameless:
    def __init__(self, function):
        self.function = function


@Replacement
def replaced():
    return "the function below the decorator"


@Nameless
def lost():
    pass


def write_to_both():
    print("this is stdout", flush=True)  # noqa: T201 - it is what is tested
    print("this is stderr", file=sys.stderr, flush=True)  # noqa: T201
