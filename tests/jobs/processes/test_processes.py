"""Worker processes: what they promise while functions crash, hang, hoard and lie."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from jobs import cpu_work as work
from roadworthy.jobs.processes.pool import (
    CannotPickle,
    FailedInProcess,
    ProcessDied,
    Processes,
    ProcessesClosed,
    TookTooLong,
    report,
)
from support.polling import until_async

MB = 1024 * 1024
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux has what it takes")
SOON = timedelta(seconds=0.3)


@pytest.fixture
async def make():
    """Make `Processes` that are closed after the test."""
    made = []

    def build(*args, **options):
        made.append(Processes(*args, **options))
        return made[-1]

    yield build
    for processes in made:
        await processes.close()


def number_in(file):
    return int(file.read_text()) if file.exists() else None


def is_dead(pid):
    """Tell whether a process is gone, or a zombie that waits for a parent not ours."""
    try:
        os.kill(pid, 0)
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return True


@contextmanager
def killed_at_last(pid):
    """Leave nothing behind where the test fails."""
    try:
        yield
    finally:
        if not is_dead(pid):
            os.kill(pid, signal.SIGKILL)


def is_reaped(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class Heartbeat:
    """Measure the longest time in which the event loop did nothing else."""

    async def __aenter__(self):
        self.longest, self._last = 0.0, time.monotonic()
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        self._note()

    async def _beat(self):
        while True:
            await asyncio.sleep(0.005)
            self._note()

    def _note(self):
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now


# Running


async def test_a_function_runs_elsewhere_and_its_result_comes_back(make):
    processes = make(1)

    assert await processes.run(partial(work.size_of, data="four")) == 4
    assert await processes.run(work.pid) != os.getpid()


async def test_a_process_serves_one_call_after_the_other(make):
    processes = make(2)

    assert len({await processes.run(work.pid) for _ in range(5)}) == 1


async def test_no_more_than_size_run_at_a_time(make):
    processes = make(2)

    ran = await asyncio.gather(*(processes.run(partial(work.interval, 0.2)) for _ in range(5)))

    together = [sum(a <= start < b for a, b in ran) for start, _ in ran]
    assert max(together) == 2


async def test_a_call_that_waits_for_its_turn_can_be_cancelled(make, tmp_path):
    processes = make(1)
    running = asyncio.create_task(
        processes.run(partial(work.announce_and_wait, tmp_path / "pid", tmp_path / "go"))
    )
    await until_async((tmp_path / "pid").exists)
    waiting = asyncio.create_task(processes.run(work.pid))
    await asyncio.sleep(0)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    (tmp_path / "go").touch()
    assert await running == "went to its end"
    assert await processes.run(work.pid)


async def test_a_process_without_work_ends(make):
    processes = make(1, idle=timedelta(seconds=0.05))

    pid = await processes.run(work.pid)

    await until_async(lambda: is_reaped(pid))
    assert await processes.run(work.pid) != pid


async def test_a_size_of_none_is_refused():
    with pytest.raises(ValueError, match="size is 0"):
        Processes(0)


# Limits


async def test_what_takes_too_long_is_killed(make, tmp_path):
    processes = make(1)

    with pytest.raises(TimeoutError, match=r"longer than 0:00:00\.3") as caught:
        await processes.run(partial(work.announce_and_spin, tmp_path / "pid"), timeout=SOON)

    assert type(caught.value) is TookTooLong
    assert is_reaped(number_in(tmp_path / "pid"))
    assert await processes.run(work.pid) != number_in(tmp_path / "pid")


async def test_the_time_to_start_does_not_count(make):
    processes = make(1, setup=work.set_up_slowly)

    assert await processes.run(work.pid, timeout=SOON)


async def test_a_timeout_kills_one_process_and_no_other(make, tmp_path):
    processes = make(2)
    other = asyncio.create_task(
        processes.run(partial(work.announce_and_wait, tmp_path / "pid", tmp_path / "go"))
    )
    await until_async((tmp_path / "pid").exists)

    with pytest.raises(TookTooLong):
        await processes.run(partial(work.pid_after, 60), timeout=SOON)

    (tmp_path / "go").touch()
    assert await other == "went to its end"


async def test_a_timeout_kills_the_programs_that_the_function_started(make, tmp_path):
    processes = make(1)

    with pytest.raises(TookTooLong):
        await processes.run(
            partial(work.announce_and_start_a_program, tmp_path / "pid"), timeout=SOON
        )

    await until_async(lambda: is_dead(number_in(tmp_path / "pid")))


async def test_cancelling_kills_the_process_before_it_passes_on(make, tmp_path):
    processes = make(1)
    call = asyncio.create_task(processes.run(partial(work.announce_and_sleep, tmp_path / "pid")))
    pid = await until_async(lambda: number_in(tmp_path / "pid"))
    started = time.monotonic()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert is_reaped(pid)
    assert time.monotonic() - started < 2
    assert await processes.run(work.pid) != pid


async def test_cancelling_while_the_process_starts_kills_it(make):
    processes = make(1, setup=work.set_up_slowly)
    call = asyncio.create_task(processes.run(work.pid))
    await asyncio.sleep(0.05)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    await until_async(lambda: not processes._all)


@LINUX
async def test_what_takes_too_much_memory_fails_with_a_memory_error(make):
    processes = make(1)

    with pytest.raises(MemoryError):
        await processes.run(partial(work.allocate, 200 * MB), max_memory=100 * MB)

    assert await processes.run(partial(work.allocate, 90 * MB), max_memory=100 * MB) == 90 * MB


@LINUX
async def test_the_memory_limit_of_a_call_is_not_that_of_the_next(make):
    processes = make(1)

    before = await processes.run(work.pid, max_memory=50 * MB)
    assert await processes.run(partial(work.allocate, 200 * MB)) == 200 * MB

    assert await processes.run(work.pid) == before


@LINUX
async def test_the_memory_limit_counts_from_what_the_process_has(make):
    processes = make(1)
    await processes.run(partial(work.keep, 200 * MB))

    allocated = await processes.run(partial(work.allocate, 50 * MB), max_memory=60 * MB)

    assert allocated == 50 * MB


@LINUX
async def test_the_memory_limit_leaves_room_for_the_addresses_of_threads(make):
    processes = make(1)

    assert await processes.run(partial(work.allocate_in_threads, 4), max_memory=100 * MB) == 4


@LINUX
async def test_a_process_that_ran_out_of_memory_is_not_used_again(make):
    processes = make(1)
    before = await processes.run(work.pid)

    with pytest.raises(MemoryError):
        await processes.run(partial(work.allocate, 200 * MB), max_memory=50 * MB)

    assert await processes.run(work.pid) != before


# Dying


@pytest.mark.parametrize(
    ("call", "text"),
    [
        pytest.param(work.crash, "SIGSEGV", id="segfault"),
        pytest.param(partial(work.leave, 7), "exit code 7", id="exit"),
        pytest.param(partial(work.leave, 0), "exit code 0", id="exit-0"),
        pytest.param(work.kill_itself, "SIGKILL.*max_memory", id="oom"),
    ],
)
async def test_a_process_that_dies_harms_no_other(make, tmp_path, call, text):
    processes = make(2)
    other = asyncio.create_task(
        processes.run(partial(work.announce_and_wait, tmp_path / "pid", tmp_path / "go"))
    )
    await until_async((tmp_path / "pid").exists)

    with pytest.raises(ProcessDied, match=text):
        await processes.run(call)

    assert await processes.run(work.pid)
    (tmp_path / "go").touch()
    assert await other == "went to its end"


async def test_a_crash_is_seen_although_a_fork_of_the_process_lives_on(make, tmp_path):
    processes = make(1)
    try:
        with pytest.raises(ProcessDied, match="SIGSEGV"):
            await processes.run(partial(work.announce_and_fork, tmp_path / "pid"))
    finally:
        os.kill(number_in(tmp_path / "pid"), signal.SIGKILL)


async def test_a_process_that_died_while_it_was_idle_costs_no_call(make):
    processes = make(1)
    pid = await processes.run(work.pid)

    os.kill(pid, signal.SIGKILL)

    assert await processes.run(work.pid) != pid


async def test_a_call_that_kills_its_process_runs_once(make, tmp_path):
    processes = make(1)
    await processes.run(work.pid)

    with pytest.raises(ProcessDied):
        await processes.run(partial(work.add_a_line_and_leave, tmp_path / "lines"))

    assert (tmp_path / "lines").read_text() == "ran\n"


# What comes back


async def test_an_exception_comes_back_with_its_type_and_traceback(make):
    processes = make(1)

    with pytest.raises(work.OutOfPaper, match="page 3") as caught:
        await processes.run(partial(work.print_page, "page 3"))

    text = "".join(traceback.format_exception(caught.value))
    assert "in print_page" in text
    assert "raise OutOfPaper(page)" in text
    assert "_process_child" not in text
    assert await processes.run(work.pid)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        pytest.param(work.raise_holds_a_lock, "HoldsALock: cannot be pickled", id="unpicklable"),
        pytest.param(work.raise_frozen, "Frozen: 7", id="frozen"),
        pytest.param(work.raise_needs_two, "NeedsTwo: one and two", id="cannot-be-made-again"),
        pytest.param(partial(work.ask_to_leave, 3), "SystemExit: 3", id="sys-exit"),
        pytest.param(work.interrupt, "KeyboardInterrupt", id="interrupt"),
    ],
)
async def test_what_cannot_be_raised_here_is_described(make, call, text):
    processes = make(1)
    before = await processes.run(work.pid)

    with pytest.raises(FailedInProcess, match=text) as caught:
        await processes.run(call)

    assert "cpu_work.py" in str(caught.value.__cause__)
    assert await processes.run(work.pid) == before


@pytest.mark.parametrize(
    ("call", "text"),
    [
        pytest.param(work.return_a_lock, "return_a_lock returned a lock", id="pickling"),
        pytest.param(work.return_what_fails_to_load, "cannot be read here.*not here", id="reading"),
        pytest.param(partial(work.size_of, threading.Lock()), "argument", id="argument"),
    ],
)
async def test_what_cannot_be_pickled_is_an_error_and_no_more(make, call, text):
    processes = make(1)
    before = await processes.run(work.pid)

    with pytest.raises(CannotPickle, match=text):
        await processes.run(call)

    assert await processes.run(work.pid) == before


def local_function():
    def inner():
        pass

    return inner


@pytest.mark.parametrize(
    ("call", "text"),
    [
        pytest.param(lambda: 1, "define it at module level", id="lambda"),
        pytest.param(partial(local_function()), "define it at module level", id="closure"),
        pytest.param(work.coroutine, "async", id="async"),
        pytest.param(work.lost.function, "functools.wraps", id="replaced"),
    ],
)
async def test_a_function_that_cannot_be_found_again_is_refused_at_once(make, call, text):
    processes = make(1)

    with pytest.raises(CannotPickle, match=text):
        await processes.run(call)

    assert not processes._all


async def test_a_function_below_a_decorator_is_found(make):
    assert await make(1).run(work.replaced.__wrapped__) == "the function below the decorator"


# What the function knows


async def test_setup_runs_once_in_each_process(make):
    processes = make(1, setup=work.set_up)

    assert [await processes.run(work.count_setups) for _ in range(3)] == [1, 1, 1]


async def test_a_setup_that_fails_is_the_error_of_the_call(make):
    processes = make(1, setup=work.fail_to_set_up)

    for _ in range(2):
        with pytest.raises(LookupError, match="no configuration") as caught:
            await processes.run(work.pid)
        assert caught.value.__notes__ == ["This happened while a worker process started."]


async def test_the_request_id_goes_along_for_one_call(make):
    processes = make(1)

    assert await processes.run(work.request_id, request_id="r-1") == "r-1"
    assert await processes.run(work.request_id) is None


async def test_cpu_work_lets_others_go_first(make):
    assert await make(1, niceness=3).run(work.priority) == os.nice(0) + 3


async def test_progress_is_told_while_the_function_runs(make, tmp_path):
    told = asyncio.Queue()
    call = asyncio.create_task(
        make(1).run(
            partial(work.report_once_and_wait, tmp_path / "go"),
            on_progress=lambda done, note: told.put_nowait((done, note)),
        )
    )

    assert await asyncio.wait_for(told.get(), 20) == (0.25, "a quarter")
    (tmp_path / "go").touch()
    await call


async def test_a_function_that_reports_often_does_not_flood_the_parent(make):
    told = []

    count = await make(1).run(
        partial(work.report_often, 0.5), on_progress=lambda *progress: told.append(progress)
    )

    assert count > 1000
    assert len(told) <= 10
    assert told[-1] == (1.0, "the last")


async def test_a_report_after_the_call_reaches_no_other_call(make):
    processes = make(1)
    await processes.run(work.report_from_a_thread)

    await until_kept(processes)


async def until_kept(processes):
    for _ in range(200):
        if errors := await processes.run(work.what_was_kept):
            return errors
        await asyncio.sleep(0.05)
    raise AssertionError("the report was taken")


def test_reporting_outside_of_a_worker_process_is_an_error():
    with pytest.raises(RuntimeError, match=r"only in a function while Processes.run"):
        report(0.5)


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_a_signal_to_a_worker_process_does_not_end_it(make, tmp_path, number):
    call = asyncio.create_task(
        make(1).run(partial(work.announce_and_wait, tmp_path / "pid", tmp_path / "go"))
    )
    pid = await until_async(lambda: number_in(tmp_path / "pid"))

    os.kill(pid, number)

    (tmp_path / "go").touch()
    assert await call == "went to its end"


async def test_a_program_that_a_function_starts_can_be_terminated(make):
    assert await make(1).run(work.terminate_a_program) == -signal.SIGTERM


# The event loop


async def longest_pause(call):
    """Return how long the event loop stood still at most, in the best of three runs.

    Other programs of the machine make it stand still too, though not each time.
    """
    pauses = []
    for _ in range(3):
        async with Heartbeat() as heart:
            await call()
        pauses.append(heart.longest)
    return min(pauses)


def seconds_of(function, *args):
    """Return how long a call takes, in the best of three as above."""
    times = []
    for _ in range(3):
        started = time.monotonic()
        function(*args)
        times.append(time.monotonic() - started)
    return min(times)


async def test_the_event_loop_goes_on_while_a_process_starts(make):
    async def start_one():
        await make(1, setup=work.set_up_slowly).run(work.pid)

    assert await longest_pause(start_one) < 0.25


async def test_the_event_loop_goes_on_while_a_large_result_comes(make):
    processes = make(1)
    await processes.run(work.pid)

    assert await longest_pause(partial(processes.run, partial(work.zeros, 50 * MB))) < 0.15


async def test_the_event_loop_goes_on_while_a_result_of_many_objects_comes(make):
    processes = make(1)
    await processes.run(work.pid)
    at_once = seconds_of(pickle.loads, pickle.dumps(work.numbers(5_000_000)))

    pause = await longest_pause(partial(processes.run, partial(work.numbers, 5_000_000)))

    assert pause < at_once / 2


async def test_the_event_loop_goes_on_while_an_argument_of_many_objects_goes(make):
    processes = make(1)
    await processes.run(work.pid)
    data = work.numbers(5_000_000)
    at_once = seconds_of(pickle.dumps, data)

    pause = await longest_pause(partial(processes.run, partial(work.size_of, data)))

    assert pause < at_once / 2


async def test_the_event_loop_goes_on_while_a_function_holds_the_interpreter(make):
    async def hold():
        with pytest.raises(TookTooLong):
            await processes.run(partial(work.backtrack, 200), timeout=SOON)

    processes = make(1)

    assert await longest_pause(hold) < 0.25


# Closing


async def test_closing_ends_all_processes_and_threads(make):
    processes = make(2)
    pids = await asyncio.gather(*(processes.run(partial(work.pid_after, 0.1)) for _ in range(2)))

    await processes.close()

    assert all(is_reaped(pid) for pid in pids)
    assert not [t for t in threading.enumerate() if t.name == "roadworthy-process"]


async def test_closing_ends_the_calls_that_run_and_those_that_wait(make, tmp_path):
    processes = make(1)
    running = asyncio.create_task(
        processes.run(partial(work.announce_and_hold_the_lock, tmp_path / "pid"))
    )
    pid = await until_async(lambda: number_in(tmp_path / "pid"))
    waiting = asyncio.create_task(processes.run(work.pid))
    await asyncio.sleep(0)

    await processes.close()

    assert is_reaped(pid)
    ends = await asyncio.gather(running, waiting, processes.run(work.pid), return_exceptions=True)
    assert [type(end) for end in ends] == [ProcessesClosed] * 3


async def test_closing_twice_does_nothing(make):
    processes = make(1)
    await processes.run(work.pid)

    await processes.close()
    await processes.close()


@LINUX
async def test_processes_do_not_hold_the_pipes_of_others(make):
    processes = make(2)
    await asyncio.gather(*(processes.run(partial(work.pid_after, 0.1)) for _ in range(2)))

    first, second = await asyncio.gather(*(processes.run(work.pipes) for _ in range(2)))

    assert len(first) == len(second) == 2
    assert not first & second


# Other programs

PROGRAM = """
import asyncio, os, signal, sys
from functools import partial
from jobs import cpu_work as work
from roadworthy.jobs.processes.pool import Processes

def double(number):
    return number * 2

async def main():
    processes = Processes(2{options})
    {body}

if {guard}:
    asyncio.run(main())
"""


@pytest.fixture
def program(tmp_path):
    """Start a program of its own that uses `Processes`, and kill it after the test."""
    started = []
    path = os.pathsep.join(str(p) for p in sys.path)

    def start(body, *, options="", guard='__name__ == "__main__"', inline=False):
        text = PROGRAM.format(body="\n    ".join(body), options=options, guard=guard)
        file = tmp_path / "program.py"
        file.write_text(text)
        popen = subprocess.Popen(
            [sys.executable, *(["-c", text] if inline else [str(file)])],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(popen)
        return popen

    yield start
    for popen in started:
        popen.kill()
        popen.communicate()


async def outputs(popen):
    return await asyncio.to_thread(popen.communicate, timeout=60)


@pytest.mark.sampled
@LINUX
@pytest.mark.parametrize(
    "options", ["", ", setup=work.forget_the_parent"], ids=["kernel", "portable"]
)
@pytest.mark.parametrize("function", ["announce_and_sleep", "announce_and_spin", "announce"])
async def test_nothing_is_left_of_a_program_that_is_killed(program, tmp_path, options, function):
    file = tmp_path / "pid"
    parent = program(
        [
            f"await processes.run(partial(work.{function}, {str(file)!r}))",
            "await asyncio.sleep(60)",
        ],
        options=options,
    )
    pid = await until_async(lambda: number_in(file))
    assert not is_dead(pid)

    with killed_at_last(pid):
        parent.kill()

        await until_async(lambda: is_dead(pid), seconds=5)


@LINUX
async def test_not_even_what_holds_the_interpreter_is_left(program, tmp_path):
    file = tmp_path / "pid"
    parent = program(
        [f"await processes.run(partial(work.announce_and_hold_the_lock, {str(file)!r}))"]
    )
    pid = await until_async(lambda: number_in(file))

    with killed_at_last(pid):
        parent.kill()

        await until_async(lambda: is_dead(pid), seconds=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_a_signal_to_the_whole_group_leaves_the_function_to_the_parent(
    program, tmp_path, number
):
    file, go = tmp_path / "pid", tmp_path / "go"
    parent = program(
        [
            f"signal.signal({number:d}, lambda *_: None)",
            f"call = partial(work.announce_and_wait, {str(file)!r}, {str(go)!r})",
            "print(await processes.run(call))",
            "await processes.close()",
        ]
    )
    await until_async(file.exists)

    os.killpg(parent.pid, number)

    go.touch()
    assert await outputs(parent) == ("went to its end\n", "")


async def test_what_a_function_writes_is_seen_where_the_parent_writes(program):
    parent = program(["await processes.run(work.write_to_both)", "await processes.close()"])

    assert await outputs(parent) == ("this is stdout\n", "this is stderr\n")


async def test_functions_of_the_main_module_run(program):
    parent = program(["print(await processes.run(partial(double, 21)))", "await processes.close()"])

    assert await outputs(parent) == ("42\n", "")


async def test_a_main_module_without_a_guard_gets_told(program):
    parent = program(
        ["print(await processes.run(partial(double, 21)))", "await processes.close()"],
        guard="True",
    )

    out, err = await outputs(parent)
    assert out == ""
    assert 'under `if __name__ == "__main__":`' in err


async def test_functions_of_no_file_are_refused(program):
    parent = program(["await processes.run(partial(double, 21))"], inline=True)

    _, err = await outputs(parent)
    assert "must be importable: define it in a file" in err


async def test_a_program_that_forgets_to_close_ends_at_once(program, tmp_path):
    file = tmp_path / "pid"
    parent = program(
        [
            "await processes.run(work.pid)",
            f"asyncio.create_task(processes.run(partial(work.announce_and_spin, {str(file)!r})))",
            f"while not os.path.exists({str(file)!r}): await asyncio.sleep(0.01)",
            "print('done', flush=True)",
            "os.kill(os.getpid(), signal.SIGTERM)",
        ]
    )

    assert await outputs(parent) == ("done\n", "")
    assert parent.returncode == -signal.SIGTERM
    pid = number_in(file)
    with killed_at_last(pid):
        await until_async(lambda: is_dead(pid), seconds=5)


async def test_a_program_that_ends_without_closing_says_nothing(program):
    parent = program(["print(await processes.run(partial(double, 21)))"])

    assert await outputs(parent) == ("42\n", "")
    assert parent.returncode == 0
