"""All that is known of a rule, for a terminal."""

from collections.abc import Iterator, Sequence
from textwrap import indent

from roadworthy.audit.model.rule import Example, Rule

__all__ = ["explained", "listed"]


def explained(rule: Rule) -> str:
    """Return what a rule finds, what happens because of it, and what to type instead."""
    parts = [f"{rule.code} {rule.name} (severity: {rule.severity})\n\n{rule.summary}", rule.why]
    parts += _examples("Found:", rule.bad)
    parts += _examples("Not found:", rule.good)
    parts.append(f"Fix: {rule.mend}")
    if rule.ours:
        parts.append(f"In Roadworthy: {rule.ours}")
    if not rule.default:
        parts.append(f"It is asked where it is selected: roadworthy audit --select {rule.code}")
    return "\n\n".join(part.strip() for part in parts)


def listed(rules: Sequence[Rule]) -> str:
    """Return a line for each rule."""
    width = max((len(rule.name) for rule in rules), default=0)
    return "\n".join(f"{rule.code}  {rule.name.ljust(width)}  {rule.summary}" for rule in rules)


def _examples(title: str, examples: Sequence[Example]) -> Iterator[str]:
    for example in examples:
        note = f" {example.note}" if example.note else ""
        yield f"{title}{note}\n\n{indent(example.code.strip(), '    ')}"
