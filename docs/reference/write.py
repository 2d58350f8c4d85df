"""Write the reference: a page for each public module, and one for each rule of the audit.

make reference                         writes them
python docs/reference/write.py --check fails where one is not what it would write
"""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import get_overloads

from docstrings import code, prose

from roadworthy.audit.fixes import KNOWN
from roadworthy.audit.model.rule import Example, Rule
from roadworthy.audit.run.own_rules import all_rules
from roadworthy.problems import Problem

HERE = Path(__file__).parent
RULES = HERE.parent / "audit"
WIDTH = 80  # characters of a signature in one line
RULES_ARE = """What `roadworthy audit` looks for; [the guide](../how-to/audit.md) says how.
RW1 is about partial updates, RW2 about dependencies and sessions, RW3 about errors, RW4 about
background work, RW5 about uploads, RW6 about health, RW7 about what makes others wait. RW0 is
about comments that ignore others. `roadworthy explain RW201` says the same at a terminal."""
_REASONS = """`FILE_REJECTED` (422) carries one of these in `details`; checks of your own may
have others, and `empty` is a file without bytes. 415 carries `not_taken`, `contradicts`,
`content_encoding` or `content_transfer_encoding`. `Upload(messages={"encrypted": "..."})` has
texts of your own, and `by_language` has them in several languages."""
MODULES = (
    "lifespan",
    "problems",
    "patching",
    "conditional",
    "database",
    "idempotency",
    "migrations",
    "jobs",
    "jobs.broker",
    "jobs.operations",
    "uploads",
    "health",
    "limits",
    "events",
    "testing",
    "observability",
    "problem_log",
    "console",
    "settings",
)


def reasons_page() -> str:
    """Return a table of the reasons for which files are refused, from the code."""
    from roadworthy.uploads.types.inspecting import reasons  # noqa: PLC0415 - for this page alone

    told = re.findall(
        r'^[A-Z_0-9]+: Final = "(\w+)"\n"""(.+?)"""', inspect.getsource(reasons), re.MULTILINE
    )
    rows = [f"| `{reason}` | {what} | {reasons.ADVICE[reason]} |" for reason, what in told]
    head = ["# Why files are refused", "", _REASONS, "", "| reason | what was found | what to do |"]
    return "\n".join([*head, "|---|---|---|", *rows, ""])


def main() -> int:
    """Write the pages, or with `--check` say which are out of date."""
    pages = {HERE / f"{name}.md": page(load(name)) for name in MODULES if load(name)}
    pages[HERE / "upload-reasons.md"] = reasons_page()
    pages |= {RULES / name: text for name, text in rule_pages(all_rules())}
    stale = [path for path, text in pages.items() if not same(path, text)]
    left = sorted(set(RULES.glob("*.md")) - set(pages))
    if "--check" in sys.argv:
        print(*(f"{path.name} is out of date." for path in stale + left), sep="\n")  # noqa: T201
        return len(stale + left)
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(pages[path])
    for path in left:
        path.unlink()
    return 0


def rule_pages(rules: Sequence[Rule]) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the pages about rules, first the one that lists them."""
    lines = ["# The rules of the audit", "", RULES_ARE, "", "| rule | finds | severity | fix |"]
    lines.append("|---|---|---|---|")
    for rule in rules:
        link = f"[{rule.code}]({rule.code}.md) {rule.name}"
        lines.append(f"| {link} | {rule.summary} | {rule.severity} | {fix_of(rule)} |")
        yield f"{rule.code}.md", rule_page(rule)
    yield "index.md", "\n".join(lines) + "\n"


def rule_page(rule: Rule) -> str:
    """Return the Markdown of one rule's page."""
    parts = [f"# {rule.code} {rule.name}", rule.summary, f"Severity: {rule.severity}."]
    if not rule.default:
        select = f"`roadworthy audit --select {rule.code}`"
        parts[-1] += f" It is asked where it is selected: {select}."
    parts += ["## Why", rule.why.strip()]
    parts += examples("Found", rule.bad)
    parts += examples("Not found", rule.good)
    parts += ["## Fix", rule.mend.strip()]
    if fix_of(rule):
        parts.append(
            f"`roadworthy audit {fix_of(rule)} --select {rule.code}` does it where it can."
        )
    if rule.ours:
        parts += ["## In Roadworthy", rule.ours.strip()]
    return "\n\n".join(parts) + "\n"


def fix_of(rule: Rule) -> str:
    """Return what fixes some of what a rule finds."""
    known = KNOWN.get(rule.name)
    return "" if known is None else "--fix" if known.safe else "--fix --unsafe"


def examples(title: str, shown: Sequence[Example]) -> list[str]:
    """Return a heading with blocks of code, which tests read and never run."""
    return [f"## {title}", *(part for one in shown for part in example(one))] if shown else []


def example(one: Example) -> Iterator[str]:
    """Yield a note, if there is one, and the code with the lines marked that are found."""
    lines = one.code.strip().splitlines()
    found = [str(number) for number, line in enumerate(lines, 1) if line.endswith("# found")]
    marked = f' hl_lines="{" ".join(found)}"' if found else ""
    if one.note:
        yield one.note
    text = "\n".join(lines)
    yield f"<!-- not run: the audit reads it -->\n```python{marked}\n{text}\n```"


def load(name: str) -> ModuleType | None:
    """Return the module, or None where it is not written yet."""
    try:
        return importlib.import_module(f"roadworthy.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"roadworthy.{name}":
            raise
        return None


def same(path: Path, text: str) -> bool:
    """Tell whether a page needs no writing."""
    return path.exists() and path.read_text() == text


def page(module: ModuleType | None) -> str:
    """Return the Markdown of one module's page."""
    if module is None:
        return ""
    entries = [entry(module, name) for name in module.__all__]
    head = f"# `{module.__name__}`\n\n{prose(module.__doc__, of_a_module=True)}"
    return "\n\n".join([head, *entries]) + "\n"


def entry(module: ModuleType, name: str) -> str:
    """Return what the page says of one public name."""
    value = getattr(module, name)
    if inspect.isclass(value) and issubclass(value, Enum):
        parts = [prose(value.__doc__), ", ".join(f"`{member.value}`" for member in value)]
    elif inspect.isclass(value):
        methods = [method for method in public_methods(value) if method.__doc__]
        parts = [block(name, value), answered(value), prose(value.__doc__)]
        parts += ["**Methods**"] if methods else []
        parts.append("\n".join(f"- {inline(m)}: {first(m)}" for m in methods))
    elif inspect.isfunction(value):
        parts = [block(name, value), prose(value.__doc__)]
    else:
        parts = [prose(comment_on(module, name))]
    return "\n\n".join([f"## {name}", *filter(None, parts)])


def block(name: str, value: object) -> str:
    """Return `name(a, *, b=1)` as a block of code, a parameter a line where it is long."""
    shown = parameters(value)
    if shown is None:
        return ""
    line = f"{name}({', '.join(shown)})"
    if len(line) > WIDTH:
        line = "\n".join([f"{name}(", *(f"    {one}," for one in shown), ")"])
    return code(line, "python")


def inline(method: object) -> str:
    """Return `.method(a, *, b=1)` for a line of a list."""
    name = method.__name__  # type: ignore[attr-defined]  # it is a function
    return f"`.{name}({', '.join(parameters(method) or [])})`"


def answered(kind: type) -> str:
    """Return the status and the code of a problem."""
    if not issubclass(kind, Problem) or kind is Problem:
        return ""
    return f"Answered as {kind.status} `{kind.code}`."


def public_methods(kind: type) -> Iterator[object]:
    """Yield the methods that a class of ours defines itself."""
    for name, value in list(vars(kind).items()):
        function = getattr(value, "__func__", value)
        ours = getattr(function, "__module__", "").startswith("roadworthy")
        if inspect.isfunction(function) and ours and not name.startswith("_"):
            yield function


def first(function: object) -> str:
    """Return the first sentence of a docstring."""
    return inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def parameters(value: object) -> list[str] | None:
    """Return names and defaults, or None where nobody calls the value; types are in the source."""
    if inspect.isclass(value) and issubclass(value, Problem):
        members = value.member_types()
        return ["*", *members] if members else []
    if getattr(value, "_is_protocol", False):
        return None  # it is for annotations
    try:
        # Where a function has several shapes, the last one has the keywords.
        is_told = hasattr(value, "__signature__")
        overloads = () if is_told else get_overloads(value)[-1:]  # type: ignore[arg-type]
        shape: object = next(iter(overloads), value)
        found = inspect.signature(shape).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return list(spelled(list(found)))


def spelled(parameters: list[inspect.Parameter]) -> Iterator[str]:
    """Yield the parameters as one would type them."""
    starred = False
    for one in parameters:
        if one.name in {"self", "cls"} or one.name.startswith("_"):
            continue
        if one.kind is one.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        if one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD}:
            starred = True
            yield ("*" if one.kind is one.VAR_POSITIONAL else "**") + one.name
        else:
            yield one.name + ("" if one.default is one.empty else f"={default(one.default)}")


def default(value: object) -> str:
    """Return a default's source, without addresses in memory."""
    if value is Ellipsis or getattr(value, "__name__", "") == "<lambda>":
        return "..."
    if inspect.isclass(value):
        return value.__name__
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return re.sub(r"datetime\.(timedelta)", r"\1", text)


def comment_on(module: ModuleType, name: str) -> str:
    """Return the string that stands after a value where it is defined."""
    for source in sorted(Path(inspect.getfile(module)).parent.rglob("*.py")):
        for node, after in pairwise(ast.parse(source.read_text()).body):
            if name in assigned(node) and isinstance(after, ast.Expr):
                return str(getattr(after.value, "value", ""))
    return ""


def assigned(node: ast.stmt) -> set[str]:
    """Return the names that a statement gives values to."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return {target.id for target in targets if isinstance(target, ast.Name)}


if __name__ == "__main__":
    raise SystemExit(main())
