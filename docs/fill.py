"""Fill in what pages quote: what their examples print, and figures that were measured.

make reference                 fills all pages
python docs/fill.py --check    fails where a page quotes what is no longer so

A block under `<!-- prints -->` is what the Python blocks before it printed. Between these two,

    <!-- figures: benchmarks/results/overhead.md; peer | CPU µs/request; roadworthy | glue -->
    <!-- end of figures -->

stand the rows that begin so, in these columns, of the first table there that has the columns.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
PRINTING = ("index.md",)  # whose examples are run anew here; the tests run those of all pages
PYTHON = re.compile(
    r"(?P<continues><!-- continues -->\n)?^```python\n(?P<code>.*?)^```$"
    r"|(?P<before><!-- prints -->\n```text\n)(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FIGURES = re.compile(
    r"^<!-- figures: (?P<path>[^;]+); (?P<columns>[^;]+); (?P<rows>[^;\n]+?) -->\n"
    r".*?^<!-- end of figures -->$",
    re.MULTILINE | re.DOTALL,
)
Row = list[str]


def main() -> int:
    """Fill the pages, or with `--check` say which are out of date."""
    stale = [page for page in sorted(HERE.rglob("*.md")) if filled(page) != page.read_text()]
    if "--check" in sys.argv:
        print("\n".join(f"{page.name} is out of date." for page in stale))  # noqa: T201 - a script
        return len(stale)
    for page in stale:
        page.write_text(filled(page))
    return 0


def filled(page: Path) -> str:
    """Return the text of a page with what it quotes as it is today."""
    text = FIGURES.sub(lambda match: figures(**match.groupdict()), page.read_text())
    return with_output(text) if page.relative_to(HERE).as_posix() in PRINTING else text


def with_output(text: str) -> str:
    """Return a page's text with what its examples print."""
    program: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        if match["code"] is None:
            return f"{match['before']}{printed(program)}```"
        program[:] = [*(program if match["continues"] else []), match["code"]]
        return match[0]

    return PYTHON.sub(replaced, text)


def printed(program: list[str]) -> str:
    """Return what the last of some blocks prints when all of them run."""
    mark = "-- the last block --"
    parts = [*program[:-1], f"print({mark!r})\n", program[-1]]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - blocks of our own pages
            [sys.executable, "-W", "ignore", "-c", "\n".join(parts)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout.partition(f"{mark}\n")[2]


def figures(path: str, columns: str, rows: str) -> str:
    """Return the marks of a table of figures, with the table between them."""
    wanted, peers = columns.split(" | "), rows.split(" | ")
    table = next(one for one in tables(REPOSITORY / path) if set(wanted) <= set(one[0]))
    places = [table[0].index(column) for column in wanted]
    kept = table[:2] + [row for row in table[2:] if row[0].replace("*", "") in peers]
    lines = ["| " + " | ".join(row[place] for place in places) + " |" for row in kept]
    start = f"<!-- figures: {path}; {columns}; {rows} -->"
    return "\n".join([start, "", *lines, "", "<!-- end of figures -->"])


def tables(page: Path) -> Iterator[list[Row]]:
    """Yield the tables of a page: rows of cells, first the heads and then the rule."""
    for block in re.findall(r"(?:^\|.*\|\n?)+", page.read_text(), re.MULTILINE):
        yield [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]


if __name__ == "__main__":
    raise SystemExit(main())
