"""What a wheel says about itself: to a package index, to pip and to a type checker."""

import email
import email.message
import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["refusals_of_metadata"]

_EXPECTED_URLS = {"Changelog", "Documentation", "Homepage", "Issues", "Source"}
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def refusals_of_metadata(wheel: Path, repository: Path) -> list[str]:
    """Say what a wheel tells wrongly; links into the repository are followed in `repository`."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(archive.read(name))
    text = str(told.get_payload())
    return [
        *_urls(told),
        *_links(text, told, repository),
        *_classifiers(told, repository),
        *_required(told),
    ]


def _urls(told: email.message.Message) -> list[str]:
    named = dict(line.split(", ", 1) for line in told.get_all("Project-URL", []))
    return [
        *(f"no {name} under [project.urls]" for name in sorted(_EXPECTED_URLS - named.keys())),
        *(
            f"{url} is no https address"
            for url in named.values()
            if urlsplit(url).scheme != "https"
        ),
    ]


def _links(text: str, told: email.message.Message, repository: Path) -> list[str]:
    """A package index has no folders: a link is a whole address, or a heading of the page."""
    source = dict(line.split(", ", 1) for line in told.get_all("Project-URL", [])).get("Source", "")
    into = re.compile(rf"{re.escape(source)}/(?:blob|tree)/[^/]+/(?P<path>[^#]*)")
    found = [match["target"] for match in _LINK.finditer(_FENCED.sub("", text))]
    wrong = [f"the description links to {one}: relative" for one in found if _is_relative(one)]
    if not text.strip():
        wrong.append("there is no description")
    paths = [match["path"] for match in map(into.match, found) if match]
    dead = [path for path in paths if not (repository / path).exists()]
    return [*wrong, *(f"the description links to {path}, which does not exist" for path in dead)]


def _is_relative(target: str) -> bool:
    return not target.startswith("#") and not urlsplit(target).scheme


def _classifiers(told: email.message.Message, repository: Path) -> list[str]:
    """A Python is named where the table of docs/reference/platforms.md says that it was run."""
    named = [
        line.rpartition(" ")[2] for line in told.get_all("Classifier", []) if "Python :: 3." in line
    ]
    table = (repository / "docs/reference/platforms.md").read_text(encoding="utf-8")
    run = re.findall(r"^\| (3\.\d+) \|", table, re.MULTILINE)
    return [
        *(
            f"no run on Python {each} is in the table of platforms"
            for each in named
            if each not in run
        ),
        *(
            ["no classifier says Typed"]
            if "Typing :: Typed" not in told.get_all("Classifier", [])
            else []
        ),
    ]


def _required(told: email.message.Message) -> list[str]:
    wanted = {"License-Expression": "MIT", "Requires-Python": ">=3.11"}
    return [
        f"{field} is {told[field]!r}, and not {value!r}"
        for field, value in wanted.items()
        if told[field] != value
    ]
