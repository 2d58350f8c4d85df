"""What tests wait with: the answer at once, a reason where there is none, a stretched bound."""

import sys
import time
from itertools import count

import pytest

from support.pace import Pace
from support.polling import until, until_async


def test_the_first_answer_that_is_wanted_is_returned():
    answers = count()

    assert until(lambda: next(answers), lambda answer: answer > 2, pause=0) == 3
    assert until(lambda: next(answers), pause=0) == 4


async def test_a_question_may_be_a_coroutine_or_none():
    async def ask():
        return next(answers)

    answers = count()

    assert await until_async(ask, lambda answer: answer > 2, pause=0) == 3
    assert await until_async(lambda: next(answers), pause=0) == 4


async def test_what_never_happens_is_told_with_the_last_answer():
    with pytest.raises(AssertionError, match="the last answer is 'not yet'"):
        until(lambda: "not yet", lambda answer: answer == "done", seconds=0)
    with pytest.raises(AssertionError, match="the last answer is 0"):
        await until_async(lambda: 0, seconds=0)


def test_a_bound_is_stretched_as_far_as_the_machine_is_slow():
    with Pace() as pace:
        time.sleep(0.3)
    assert pace.stretched(1) >= 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(0.2)  # whoever wants to run beside this test waits so long
    try:
        with Pace() as pace:
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                pass
    finally:
        sys.setswitchinterval(before)
    assert pace.stretched(1) > 2
