"""`make site` builds pages that are whole, say what they are, and work without a network."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page

from support.html_pages import HtmlPage, dead_links, outside, read_page
from support.source import REPOSITORY

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

WIDTHS = (360, 1280)


def test_the_built_site_is_whole_and_needs_no_network(tmp_path, chromium):
    site = built(tmp_path / "site")
    pages = {path: read_page(path) for path in sorted(site.rglob("*.html"))}
    written = sorted(
        path.relative_to(REPOSITORY / "docs") for path in (REPOSITORY / "docs").rglob("*.md")
    )

    assert {str(path.with_suffix(".html")) for path in written} <= names(pages, site)
    assert list(dead_links(pages, site)) == []
    assert {page.path: found for page in pages.values() if (found := outside(page))} == {}
    assert [fault for page in pages.values() for fault in faults(page)] == []
    assert [path for path in written if not has_twin(site, path)] == []
    assert (site / "llms.txt").read_text().startswith("# Roadworthy\n\n> ")
    assert (site / "llms-full.txt").read_text().count("\n# ") >= len(written) - 1
    assert {path.name for path in (site / "0.1").iterdir()} <= {
        path.name for path in site.iterdir()
    }

    urls = [(site / path.with_suffix(".html")).as_uri() for path in written]
    assert chromium.run(lambda page: wider_than_the_window(page, urls), timeout=300) == []
    assert chromium.run(lambda page: loaded_from_elsewhere(page, urls[::10])) == []
    assert chromium.run(lambda page: found_by_search(page, site, "Idempotency-Key")) != []
    assert chromium.run(lambda page: versions_offered(page, site, keep="0.0")) == ["0.1", "0.0"]


def built(into: Path) -> Path:
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(
        ["make", "site", f"ARGS=--into {into}"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return into.resolve()


def names(pages: dict[Path, HtmlPage], site: Path) -> set[str]:
    return {str(path.relative_to(site)) for path in pages}


def faults(page: HtmlPage) -> list[str]:
    """Say what a page lacks that every page has to have."""
    checks = {
        "lang": page.lang == "en",
        "title": len(page.title.strip()) > 5,
        "one h1": page.headings == 1,
        "description": 15 <= len(page.description) <= 160,
        "markdown beside it": (page.path.parent / page.alternate).suffix == ".md",
    }
    return [f"{page.path.name}: {name}" for name, is_there in checks.items() if not is_there]


def has_twin(site: Path, path: Path) -> bool:
    """Return whether a page's Markdown lies beside it under both names, without our comments."""
    twins = [site / path, site / path.with_suffix(".html.md")]
    return all(
        one.is_file() and not re.search("<!-- (not run|prints)", one.read_text()) for one in twins
    )


def wider_than_the_window(page: Page, urls: list[str]) -> list[str]:
    """List the pages that a reader has to move sideways, in any of some windows."""
    page.context.set_offline(True)
    wide = []
    for url in urls:
        page.goto(url)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append(f"{width}: {url}")
    return wide


def loaded_from_elsewhere(page: Page, urls: list[str]) -> list[str]:
    """List what a browser without a network tried to load, and what a page complained of."""
    page.context.set_offline(True)
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("pageerror", lambda error: seen.append(f"error: {error}"))
    for url in urls:
        page.goto(url, wait_until="networkidle")
    return [one for one in seen if not one.startswith("file:")]


def found_by_search(page: Page, site: Path, words: str) -> list[str]:
    """List where the search of a page on the disk leads."""
    page.context.set_offline(True)
    page.goto((site / "how-to/errors.html").as_uri())
    page.locator(".md-search__button").click()
    field = page.locator("dialog input[role=combobox]")
    field.press_sequentially(words)
    found = page.locator("dialog a[href*='idempotency.html']")
    found.first.wait_for()
    assert field.input_value() == words
    return [link.get_attribute("href") or "" for link in found.all()]


def versions_offered(page: Page, site: Path, *, keep: str) -> list[str]:
    """List the versions to choose from once an older one is kept, which says that it is old."""
    shutil.copytree(site / "0.1", site / keep)
    (site / "versions-kept.js").write_text(f'window.versionsKept = ["0.1", "{keep}"];')
    page.goto((site / keep / "how-to/jobs.html").as_uri())
    page.get_by_text(f"This is about version {keep}.").wait_for()
    offered = page.get_by_label("Version").locator("option").all_inner_texts()
    page.get_by_label("Version").select_option("0.1")
    page.wait_for_url((site / "index.html").as_uri())
    return offered
