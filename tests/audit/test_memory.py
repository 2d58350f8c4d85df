"""What is remembered of names: the right answer, at a cost that grows with the code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.audit.dataflow.reach import calls
from roadworthy.audit.source import names
from roadworthy.audit.source.memory import BUDGET, Memory
from roadworthy.audit.source.resolver import Resolver

GRAPHS = st.integers(2, 12).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, size - 1), max_size=4), min_size=size, max_size=size
    )
)
"""Questions that lead to others, by number; question 0 has an answer of its own."""


def asked(graph: list[list[int]], first: list[int], memory: Memory) -> dict[int, str | None]:
    def ask(number: int) -> str | None:
        return memory.ask(number, lambda: work(number))

    def work(number: int) -> str | None:
        if number == 0:
            return "found"
        answers = (ask(one) for one in graph[number])
        return next((one for one in answers if one is not None), None)

    return {number: ask(number) for number in first}


def reachable(graph: list[list[int]], start: int) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        number = waiting.pop()
        waiting += [one for one in graph[number] if one not in seen] if number else []
        seen |= set(waiting)
    return 0 in seen


@given(GRAPHS, st.randoms())
def test_a_question_has_an_answer_where_one_can_be_reached_in_any_order_of_asking(graph, random):
    numbers = list(range(len(graph)))
    random.shuffle(numbers)

    answers = asked(graph, numbers, Memory())

    assert {number: answer is not None for number, answer in answers.items()} == {
        number: reachable(graph, number) for number in numbers
    }


@given(GRAPHS)
def test_no_question_is_worked_out_more_often_than_its_budget(graph):
    memory = Memory()

    asked(graph, list(range(len(graph))) * 3, memory)

    assert memory.steps <= BUDGET * len(graph)


def test_a_question_that_was_too_deep_is_answered_where_it_is_asked_for_itself():
    graph = [[], *([number] for number in range(39))]
    memory = Memory(deepest=30)

    far, near, again = (asked(graph, [number], memory)[number] for number in (39, 20, 39))

    assert (far, near, again) == (None, "found", "found")


def test_a_failure_leaves_no_question_open():
    memory = Memory()

    with pytest.raises(ZeroDivisionError):
        memory.ask("a", lambda: 1 // 0)

    assert memory.ask("a", lambda: 1) == 1


SHAPES = {
    "branches": "    if x == {i}:\n        q = q.where({i})\n",
    "else": "    if x == {i}:\n        q = q.where({i})\n    else:\n        q = q.having(q)\n",
    "sequence": "    q = q.where({i})\n",
    "match": "    match x:\n        case {i}:\n            q = q.where({i})\n",
    "loop": "    for y in q.rows({i}):\n        q = q.where(y)\n",
    "try": "    try:\n        q = q.where({i})\n    except E:\n        q = other(q)\n",
    "two names": "    q = r.where({i})\n    r = q.having(q, r)\n",
    "walrus": "    if (q := q.where(q)):\n        r = q or r\n",
    "tuple": "    q, r = r.pair(q), q\n",
    "with": "    with q.part({i}) as q:\n        r = q\n",
}


def steps(codebase, text: str) -> int:
    made = codebase(text)
    for function in made.module("app.py").functions:
        calls(function)
        for name in function.names:
            names.look_up(name, function)
    return made.the(Resolver).memory.steps


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("known", ["None", "select(1)", "unknown()"])
def test_each_step_of_a_chain_costs_the_same(codebase, shape, known):
    start = f"def search(x, other):\n    q = r = {known}\n"
    few, many = (
        steps(codebase, start + "".join(SHAPES[shape].format(i=i) for i in range(number)))
        for number in (20, 60)
    )

    assert many <= 3.3 * few


def test_methods_that_change_an_attribute_cost_the_same_each(codebase):
    def text(number: int) -> str:
        methods = "".join(
            f"    def by_{i}(self, v):\n        self.q = self.q.filter(self.r)\n"
            f"        self.r = self.q.other(self.by_{i - 1}(v))\n        return self.r\n"
            for i in range(number)
        )
        return f"class Search:\n    def __init__(self, q):\n        self.q = q.all()\n{methods}"

    assert steps(codebase, text(60)) <= 3.3 * steps(codebase, text(20))


def test_functions_that_call_each_other_cost_the_same_each(codebase):
    def text(number: int) -> str:
        return "".join(
            f"def f{i}(x):\n    return f{(i + 1) % number}(x) or f{(i * 7) % number}(x)\n"
            for i in range(number)
        )

    assert steps(codebase, text(60)) <= 3.5 * steps(codebase, text(20))
