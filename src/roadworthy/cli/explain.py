"""`roadworthy explain`: the page of a rule, or a line for each."""

from argparse import ArgumentParser, Namespace

from roadworthy.audit.model.refusal import CannotRun
from roadworthy.cli.parsing import Mistake
from roadworthy.cli.text import write

__all__ = ["add_to", "explain"]


def add_to(parser: ArgumentParser) -> None:
    """Add the argument to the parser of `roadworthy explain`."""
    parser.add_argument("rule", metavar="RULE", nargs="?", help="code or name; else all are listed")
    parser.set_defaults(run=_run)


def _run(chosen: Namespace) -> int:
    try:
        return explain(chosen.rule or "")
    except CannotRun as error:
        raise Mistake(str(error)) from error


def explain(word: str) -> int:
    """Write what a word names: one rule in full, or a line for each of several.

    Raises:
        CannotRun: It names no rule.
    """
    from roadworthy.audit.run import own_rules, selection  # noqa: PLC0415  # loads every rule
    from roadworthy.audit.run.explain import explained, listed  # noqa: PLC0415

    rules = own_rules.all_rules()
    found = selection.matching(rules, word) if word else rules
    write(explained(found[0]) if len(found) == 1 else listed(found))
    return 0
