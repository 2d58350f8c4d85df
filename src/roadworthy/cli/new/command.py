"""`roadworthy new NAME`: write a service that keeps its promises from the first request on."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from roadworthy.cli.new.files import PARTS, files_of
from roadworthy.cli.new.folder import refuse_to_overwrite, write_folder
from roadworthy.cli.new.names import Names, names_of
from roadworthy.cli.text import write

__all__ = ["add_to"]

_DESCRIPTION: Final = """\
Write a service into the folder NAME: ten files of your own, which no later command touches.

It has POST, GET and PATCH /resources (RFC 7396, ETag, If-Match), GET /health with the probes, one
error contract, migrations, tests, a Dockerfile and a page for agents. Nothing is asked, nothing
is downloaded, and what is there already is never overwritten."""
_EPILOG: Final = """\
examples:
  roadworthy new shop
  roadworthy new my-shop --with jobs,uploads --postgresql
  uvx roadworthy new shop        (or: pipx run roadworthy new shop)"""


def add_to(parser: ArgumentParser) -> None:
    """Add the arguments to the parser of `roadworthy new`."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.add_argument("name", metavar="NAME", help="of the service and its folder, like my-shop")
    parser.add_argument(
        "--with",
        dest="parts",
        metavar="PARTS",
        type=_parts,
        action="extend",
        default=[],
        help="any of jobs (POST /process: work that survives a crash), uploads (POST /upload: PNG "
        "by its bytes, up to 5 MB) and console (/ops: what is going on), with commas between",
    )
    parser.add_argument(
        "--postgresql", action="store_true", help="PostgreSQL, at DATABASE_URL; else a SQLite file"
    )
    parser.add_argument(
        "--sync", action="store_true", help="`def` routes and Session; else async def"
    )
    parser.set_defaults(run=_run)


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if part not in PARTS:
            known = ", ".join(PARTS)
            raise ArgumentTypeError(f"{part!r} is none of {known}: write --with jobs,uploads")
    return parts


def _run(chosen: Namespace) -> int:
    names = names_of(chosen.name.rstrip("/"))
    folder = Path(names.name)
    refuse_to_overwrite(folder)
    texts = files_of(names, parts=chosen.parts, postgresql=chosen.postgresql, sync=chosen.sync)
    write_folder(folder, texts)
    write(_made(names, texts, postgresql=chosen.postgresql))
    return 0


def _made(names: Names, texts: Mapping[str, str], *, postgresql: bool) -> str:
    lines = sum(text.count("\n") for text in texts.values())
    listed = "".join(f"  {names.name}/{path}\n" for path in texts)
    url = f"export DATABASE_URL=postgresql://user@host/{names.package}\n  " if postgresql else ""
    return (
        f"Made {len(texts)} files with {lines} lines:\n{listed}\n"
        "Next, install it and serve it:\n"
        f"  cd {names.name} && python -m venv .venv && .venv/bin/pip install -e '.[dev]'\n"
        f"  {url}.venv/bin/alembic upgrade head && "
        f".venv/bin/uvicorn --factory {names.package}.app:create_app"
    )
