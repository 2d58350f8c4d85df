"""`Memory`: answers to questions that may lead back to themselves."""

import functools
import sys
from collections.abc import Callable, Hashable
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["BUDGET", "Memory", "lasting", "remembered"]

A = TypeVar("A")
P = ParamSpec("P")

DEEPEST: Final = 80
"""Questions within a question; each takes some five frames of Python's stack."""
BUDGET: Final = 3
"""How often a question is worked out at most, where it came out without an answer."""
_ALONE: Final = sys.maxsize
_CUT: Final = -1


class Memory:
    """Answers by question, None included: what has no answer is not worked out again.

    A question that is asked while it is worked out has no answer there. What came out
    without an answer because of that waits for the outer question: it stands where that
    has none either, and is asked anew, within its budget, where that found one.
    """

    def __init__(self, deepest: int = DEEPEST) -> None:
        self.steps = 0
        """How many answers were worked out."""
        self._deepest = deepest
        self._known: dict[Hashable, Any] = {}
        self._open: dict[Hashable, int] = {}
        """The questions that are worked out now, from the outermost."""
        self._waiting: dict[Hashable, int] = {}
        """Questions without an answer so far: the outermost open one that may give it."""
        self._order: list[Hashable] = []
        """Those questions, in the order in which they were given up."""
        self._spent: dict[Hashable, int] = {}
        self._lowest = _ALONE
        """The outermost open question that the one worked out now has come back to."""

    def ask(self, key: Hashable, work: Callable[[], A | None]) -> A | None:
        """Return the answer to a question; `work` finds it where it is not known."""
        if key in self._known:
            known: A | None = self._known[key]
            return known
        back = self._waiting.get(key, self._open.get(key))
        if back is None and len(self._open) >= self._deepest:
            back = _CUT
        if back is not None:
            self._lowest = min(self._lowest, back)
            return None
        return self._work(key, work)

    def _work(self, key: Hashable, work: Callable[[], A | None]) -> A | None:
        above, self._lowest = self._lowest, _ALONE
        depth = self._open[key] = len(self._open)
        since = len(self._order)
        self.steps += 1
        try:
            found = work()
        finally:
            del self._open[key]
            lowest, self._lowest = self._lowest, above
        if found is not None:
            self._known[key] = found
            self._take_back(since)
            return found
        self._order.append(key)
        self._without(lowest, depth, since)
        return None

    def _without(self, lowest: int, depth: int, since: int) -> None:
        """Note that the last question has no answer, now or for good."""
        if lowest >= depth:  # nothing outside can change that
            for one in self._order[since:]:
                self._waiting.pop(one, None)
                self._known[one] = None
            del self._order[since:]
        elif depth == 0:  # it was too deep: who asks further within may see further
            self._take_back(since)
        else:
            for one in self._order[since:]:
                self._waiting[one] = min(self._waiting.get(one, lowest), lowest)
            self._lowest = min(self._lowest, lowest)

    def _take_back(self, since: int) -> None:
        """Let questions be asked anew, except those that have used up their budget."""
        for one in self._order[since:]:
            self._waiting.pop(one, None)
            spent = self._spent[one] = self._spent.get(one, 0) + 1
            if spent >= BUDGET:
                self._known[one] = None
        del self._order[since:]


def lasting(ask: Callable[P, A]) -> Callable[P, A]:
    """Answer a question about a module's project once; the answer may hold no trees."""

    @functools.wraps(ask)
    def answer(*about: P.args, **named: P.kwargs) -> A:
        near: Any = about[0]
        facts: dict[Hashable, Any] = near.codebase.lasting
        key = (ask, near.codebase.project(near.path))
        if key not in facts:
            facts[key] = ask(*about, **named)
        found: A = facts[key]
        return found

    return answer


def remembered(ask: Callable[P, A]) -> Callable[P, A]:
    """Answer a question about a function, class or module once a codebase."""

    @functools.wraps(ask)
    def answer(*about: P.args, **named: P.kwargs) -> A:
        owner: Any = about[0]
        facts: dict[Hashable, Any] = owner.module.codebase.facts
        key = (ask, about, *named.items())
        if key not in facts:
            facts[key] = ask(*about, **named)
        found: A = facts[key]
        return found

    return answer
