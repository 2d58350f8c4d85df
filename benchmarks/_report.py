"""What the scripts of several parts have in common: their options, and their file of results."""

import argparse
from collections.abc import Iterable
from pathlib import Path

__all__ = ["parser", "write"]


def write(results: Path, title: str, parts: Iterable[str], sections: dict[str, str]) -> None:
    """Replace the sections of the parts that ran, and keep the others."""
    found = dict.fromkeys(parts, "")
    for text in results.read_text().split("\n## ")[1:] if results.exists() else ():
        found[text.split("`")[1]] = f"## {text}"
    merged = [text.strip() for text in (found | sections).values() if text]
    results.parent.mkdir(exist_ok=True)
    results.write_text(f"# {title}\n\n" + "\n\n".join(merged) + "\n")


def parser(description: str | None, parts: Iterable[str]) -> argparse.ArgumentParser:
    """Return what reads the command line of such a script."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument("words", nargs="*", metavar="run FUNCTION WORDS")
    made.add_argument("--part", action="append", choices=list(parts), help="run this one only")
    made.add_argument("--short", action="store_true", help="take small numbers, write nothing")
    return made
