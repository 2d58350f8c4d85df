"""Which rules are asked: by code, by the beginning of one, or by name."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from roadworthy.audit.model.refusal import CannotRun
from roadworthy.audit.model.rule import Rule

__all__ = ["matching", "selected"]


def selected(
    rules: Sequence[Rule], *, select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> tuple[Rule, ...]:
    """Return the rules that are asked; without `select`, those that are by default.

    Raises:
        CannotRun: A word names no rule.
    """
    wanted = _named(rules, select) if select else {rule.code for rule in rules if rule.default}
    unwanted = _named(rules, ignore)
    return tuple(rule for rule in rules if rule.code in wanted and rule.code not in unwanted)


def matching(rules: Sequence[Rule], word: str) -> tuple[Rule, ...]:
    """Return the rules that a word names: `RW201`, `RW2`, `commit-after-response`.

    Raises:
        CannotRun: It names none.
    """
    found = tuple(rule for rule in rules if _is_named(rule, word.strip()))
    if not found:
        raise CannotRun(_unknown(rules, word))
    return found


def _named(rules: Sequence[Rule], words: Sequence[str]) -> set[str]:
    return {rule.code for word in words for rule in matching(rules, word)}


def _is_named(rule: Rule, word: str) -> bool:
    if word.lower() == rule.name:
        return True
    return word.upper().startswith("RW") and rule.code.startswith(word.upper())


def _unknown(rules: Sequence[Rule], word: str) -> str:
    near = get_close_matches(word.lower(), list(_words(rules)), 1)
    meant = f" Is it {near[0]}?" if near else ""
    return f"There is no rule {word!r}.{meant} For all of them type: roadworthy explain"


def _words(rules: Sequence[Rule]) -> Iterator[str]:
    for rule in rules:
        yield from (rule.name, rule.code)
