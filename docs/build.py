"""Build the site: pages, search, Markdown beside each page, llms.txt, and the versions.

make site                                    builds site/, with Zensical
make site ARGS="--with path/to/bin/mkdocs"   with MkDocs and Material instead
make site ARGS=--url=https://docs.example    gives llms.txt absolute links

`site/` holds the newest version, and `site/0.1/` keeps each of them for good: build into the
folder that is published, and nothing that stands there has to be built again.
"""

import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
BUILT = REPOSITORY / "build/site"
SITE = REPOSITORY / "site"
ZENSICAL = Path(sys.executable).with_name("zensical")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
SHORT = 160  # characters: what search engines show of a description
OPTIONAL = "Audit rules"  # llmstxt.org: a section that may be left out where context is short


@dataclass(frozen=True, slots=True)
class Page:
    """A page of docs/: its path there, the section of the navigation, and its text."""

    path: str
    section: str
    text: str

    @property
    def title(self) -> str:
        """The heading of the page."""
        return plain(self.text.partition("\n")[0].removeprefix("# "))

    @property
    def description(self) -> str:
        """The first sentences under the heading, as many as are shown."""
        return shortened(next(paragraphs(self.text), self.title))


def main() -> int:
    """Build the site into `site/`."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--with", dest="builder", default=f"{Path(sys.executable).parent}/zensical"
    )
    options.add_argument("--into", type=Path, default=SITE)
    options.add_argument("--url", default="")
    told = options.parse_args()
    run(told.builder)
    finish(BUILT, pages(), url=told.url)
    keep(BUILT, told.into, version_of(REPOSITORY))
    return 0


def run(builder: str) -> None:
    """Have a builder make the pages, and fail where it has a warning."""
    shutil.rmtree(BUILT, ignore_errors=True)
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"}
    command = [builder, "build", "--strict"]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)  # noqa: S603 - as named


def pages() -> list[Page]:
    """Return the pages, in the order of the navigation."""
    nav = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"]
    return [
        Page(path, section, (HERE / path).read_text())
        for entry in nav
        for section, below in entry.items()
        for path in leaves(below)
    ]


def leaves(entry: object) -> Iterator[str]:
    """Yield the paths in a part of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        below = entry.values() if isinstance(entry, dict) else entry
        yield from (path for one in below for path in leaves(one))  # type: ignore[union-attr]


def finish(built: Path, site: list[Page], *, url: str = "") -> None:
    """Add what no builder has: descriptions, Markdown beside the pages, and llms.txt."""
    for page in site:
        told = built / page.path
        shown = told.with_suffix(".html")
        shown.write_text(described(shown.read_text(), page))
        told.write_text(bare(page.text))
        # llmstxt.org appends to the address; a host that hides .html leads to the other.
        told.with_suffix(".html.md").write_text(bare(page.text))
    (built / "llms.txt").write_text(llms(site, url))
    (built / "llms-full.txt").write_text(llms_full(site))
    for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):  # they need an address of the site
        (built / name).unlink(missing_ok=True)


def described(text: str, page: Page) -> str:
    """Return a page's HTML with its description, and with where its Markdown is."""
    name = Path(page.path).name
    up = "../" * page.path.count("/")
    head = (
        f'<meta name="description" content="{html.escape(page.description)}">'
        f'<link rel="alternate" type="text/markdown" href="{name}">'
        f'<link rel="describedby" type="text/plain" href="{up}llms.txt">'
    )
    return text.replace("</head>", f"{head}</head>", 1)


def bare(text: str) -> str:
    """Return a page without the comments that are there for its tests."""
    return COMMENT.sub("", text)


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a page as plain text, without code, tables and headings."""
    for block in re.split(r"\n\s*\n", FENCE.sub("", bare(text))):
        if block.strip() and not re.match(r"\s*(?:[#|<>!@-]|`{3})|    ", block):
            yield plain(" ".join(block.split()))


def plain(markdown: str) -> str:
    """Return a line of Markdown as text."""
    return re.sub(r"[`*]", "", LINK.sub(r"\1", markdown)).strip()


def shortened(text: str) -> str:
    """Return as many whole sentences as are shown, or as many words."""
    kept = text[: SHORT + 1]
    whole = re.match(r".*[.?!](?= |$)", kept)
    return whole[0] if whole else kept[:SHORT].rpartition(" ")[0].rstrip(",:;") + "…"


def llms(site: list[Page], url: str = "") -> str:
    """Return llms.txt: what there is to read, in the form of llmstxt.org."""
    start = site[0]
    lines = [f"# {start.title}", "", f"> {start.description}", "", *details(start), ""]
    for section in dict.fromkeys(page.section for page in site[1:]):
        lines += [f"## {'Optional' if section == OPTIONAL else section}", ""]
        lines += [entry(page, url) for page in site if page.section == section]
        lines.append("")
    return "\n".join(lines)


def details(start: Page) -> Iterable[str]:
    """Return the rest of what the front page says in its first paragraphs."""
    return list(paragraphs(start.text.partition("\n## ")[0]))[1:3]


def entry(page: Page, url: str) -> str:
    """Return the line of llms.txt about a page."""
    return (
        f"- [{page.title}]({url.rstrip('/') + '/' if url else ''}{page.path}): {page.description}"
    )


def llms_full(site: list[Page]) -> str:
    """Return all pages in one text; links in it start at the top of the site."""
    return "\n".join(f"<!-- {page.path} -->\n{absolute(page)}" for page in site)


def absolute(page: Page) -> str:
    """Return a page's Markdown with the paths of its links from the top of the site."""
    folder = Path(page.path).parent

    def moved(match: re.Match[str]) -> str:
        text, target = match.groups()
        if re.match(r"\w+:|#", target):
            return match[0]
        return f"[{text}]({os.path.normpath(folder / target)})"

    return LINK.sub(moved, bare(page.text))


def version_of(repository: Path) -> str:
    """Return the version under which the pages are kept: `0.1` of `0.1.4`."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return ".".join(project["version"].split(".")[:2])


def keep(built: Path, site: Path, version: str) -> None:
    """Keep a version in its folder, and put the newest of them on top."""
    shutil.rmtree(site / version, ignore_errors=True)
    shutil.copytree(built, site / version)
    kept = versions_in(site)
    if kept[0] == version:
        clear(site, but=kept)
        shutil.copytree(built, site, dirs_exist_ok=True)
    (site / "versions-kept.js").write_text(f"window.versionsKept = {json.dumps(kept)};\n")


def versions_in(site: Path) -> list[str]:
    """Return the versions in a site, the newest first."""
    found = [one.name for one in site.iterdir() if re.fullmatch(r"\d+\.\d+", one.name)]
    return sorted(found, key=lambda name: [int(part) for part in name.split(".")], reverse=True)


def clear(site: Path, *, but: Iterable[str]) -> None:
    """Remove everything from a site but its kept versions."""
    for one in site.iterdir():
        if one.is_dir() and one.name not in set(but):
            shutil.rmtree(one)
        elif one.is_file():
            one.unlink()


if __name__ == "__main__":
    raise SystemExit(main())
