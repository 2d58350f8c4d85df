"""HTML files as a reader's browser has them: what they need, what they link to, what they say."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

__all__ = ["HtmlPage", "dead_links", "outside", "read_page"]

_RESOURCES = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
_LOADED = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "manifest"}
Attributes = dict[str, str | None]


@dataclass(slots=True)
class HtmlPage:
    """One page: `links` and `resources` as they are written, `ids` that can be linked to."""

    path: Path
    lang: str = ""
    title: str = ""
    description: str = ""
    alternate: str = ""
    headings: int = 0
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)


def read_page(path: Path) -> HtmlPage:
    """Read a page from its file."""
    page = HtmlPage(path)
    _Reader(page).feed(path.read_text())
    return page


def outside(page: HtmlPage) -> list[str]:
    """List what a browser would load for the page from somewhere else."""
    return [target for target in page.resources if urlsplit(target).netloc]


def dead_links(pages: dict[Path, HtmlPage], root: Path) -> Iterator[str]:
    """Yield the links that lead to no file under `root`, or to no place in a page there."""
    for page in pages.values():
        for target in [*page.links, *page.resources]:
            parts = urlsplit(target)
            if not parts.scheme and not parts.netloc and not _is_there(pages, root, page, target):
                yield f"{page.path.relative_to(root)}: {target}"


def _is_there(pages: dict[Path, HtmlPage], root: Path, page: HtmlPage, target: str) -> bool:
    path, place = urldefrag(target)
    there = (page.path.parent / unquote(path)).resolve() if path else page.path
    if not there.is_relative_to(root) or not there.is_file():
        return False
    return not place or there not in pages or unquote(place) in pages[there].ids


class _Reader(HTMLParser):
    def __init__(self, page: HtmlPage) -> None:
        super().__init__()
        self._page = page
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._page.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        self._page.headings += tag == "h1"
        self._in_title = tag == "title" and not self._page.title
        if tag == "html":
            self._page.lang = given.get("lang") or ""
        if tag == "meta" and given.get("name") == "description":
            self._page.description = given.get("content") or ""
        self._note_targets(tag, given)

    def _note_targets(self, tag: str, given: Attributes) -> None:
        if tag in _RESOURCES and (source := given.get(_RESOURCES[tag])):
            self._page.resources.append(source)
        if not (target := given.get("href")):
            return
        kinds = set((given.get("rel") or "").split())
        if tag == "a":
            self._page.links.append(target)
        elif tag == "link":
            (self._page.resources if kinds & _LOADED else self._page.links).append(target)
            if given.get("type") == "text/markdown":
                self._page.alternate = target

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._page.title += data
            self._in_title = False
