"""The docs are a site: every page has its place, nothing leads out of it, and versions stay."""

import importlib.util
import re
import subprocess
import sys
from types import ModuleType
from urllib.parse import urlsplit

import pytest
import yaml

from support.pages import FILES, blocks_of, pages, targets_of
from support.source import REPOSITORY

DOCS = REPOSITORY / "docs"
ELSEWHERE = {"pre-commit.com", "tus.io"}
"""Hosts that a page may lead to, besides the repository's own: what we speak or work with."""


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """Load docs/build.py, which `make site` runs."""
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_build"] = module  # dataclasses look for it
    spec.loader.exec_module(module)
    return module


def test_every_page_has_one_place_in_the_navigation(build):
    placed = [page.path for page in build.pages()]
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}

    assert sorted(placed) == sorted(written), "Write the page into nav of mkdocs.yml."


def test_the_tabs_stand_in_the_order_in_which_a_reader_needs_them(build):
    tabs = list(dict.fromkeys(page.section for page in build.pages()))

    assert tabs == ["Start", "Tutorial", "How to", "Reference", "Explanation", "Audit rules"]


@pytest.mark.parametrize("page", pages()[1:], ids=lambda page: str(page.relative_to(DOCS)))
def test_a_link_stays_among_the_pages_or_says_where_it_goes(page):
    targets = [target for target in targets_of(page) if not target.startswith(("#", FILES))]
    away = [
        target
        for target in targets
        if (urlsplit(target).netloc or not (page.parent / target).resolve().is_relative_to(DOCS))
        and urlsplit(target).netloc not in ELSEWHERE
    ]

    assert away == [], f"Say {FILES}... where a file of the repository is meant."


def test_links_of_the_readme_work_on_a_package_index():
    relative = [
        target
        for target in targets_of(REPOSITORY / "README.md")
        if not urlsplit(target).scheme and not target.startswith("#")
    ]

    assert relative == [], f"Say {FILES}... in place of a path."


def test_every_page_has_one_title_and_says_in_a_line_what_it_is_about(build):
    for page in build.pages():
        text = "".join(
            part for part in re.split(r"^```.*?^```$", page.text, flags=re.MULTILINE | re.DOTALL)
        )

        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, page.path
        assert text.startswith("# "), page.path
        assert 15 <= len(page.description) <= 160, (page.path, page.description)
        assert page.description != page.title


def test_no_two_pages_are_described_alike(build):
    told = [page.description for page in build.pages()]

    assert sorted(told) == sorted(set(told))


@pytest.mark.parametrize(
    ("paragraph", "description"),
    [
        ("Whole. Also this one.", "Whole. Also this one."),
        (f"It fits. {'word ' * 60}", "It fits."),
        ("word " * 60, " ".join(["word"] * 31) + " word…"),
        (
            "See 0.165 of [FastAPI](https://x.test/a_b) and `a.b(c)`.",
            "See 0.165 of FastAPI and a.b(c).",
        ),
    ],
)
def test_a_description_is_whole_sentences_where_they_fit(build, paragraph, description):
    page = build.Page("a.md", "How to", f"# Title\n\n```python\nx = 1\n```\n\n{paragraph}\n")

    assert page.description == description


def test_llms_txt_has_the_form_of_llmstxt_org(build):
    title, _, summary, _, *rest = build.llms(build.pages(), "https://docs.test/").splitlines()

    assert title == "# Roadworthy"
    assert summary.startswith("> Small parts")
    sections = [line for line in rest if line.startswith("#")]
    assert sections == ["## Tutorial", "## How to", "## Reference", "## Explanation", "## Optional"]
    entries = [line for line in rest if line.startswith("- ")]
    assert len(entries) == len(build.pages()) - 1
    assert all(
        re.fullmatch(r"- \[[^\]]+\]\(https://docs\.test/[\w./-]+\.md\): .+", line)
        for line in entries
    )


def test_the_one_file_has_every_page_with_links_from_the_top(build):
    text = build.llms_full(build.pages())
    page = next(page for page in build.pages() if page.path == "how-to/run-jobs.md")

    assert text.count("\n# ") >= len(build.pages()) - 1
    assert "(jobs.md" in page.text
    assert "](how-to/jobs.md)" in build.absolute(page)
    assert "not run:" not in text


def test_a_version_stays_when_the_next_one_is_built(build, tmp_path):
    site = tmp_path / "site"
    for version in ("0.9", "0.10"):
        build.keep(pretended(tmp_path / version, version), site, version)

    assert (site / "index.html").read_text() == "0.10"
    assert (site / "0.9/index.html").read_text() == "0.9"
    assert not (site / "only-0.9.html").exists()
    assert (site / "versions-kept.js").read_text() == 'window.versionsKept = ["0.10", "0.9"];\n'


def test_a_correction_of_an_older_version_does_not_become_the_newest(build, tmp_path):
    site = tmp_path / "site"
    for version, told in (("1.0", "first"), ("2.0", "second"), ("1.0", "corrected")):
        build.keep(pretended(tmp_path / told, version, told), site, version)

    assert (site / "index.html").read_text() == "second"
    assert (site / "1.0/index.html").read_text() == "corrected"


def test_pages_quote_what_examples_print_and_what_was_measured():
    done = subprocess.run(
        [sys.executable, DOCS / "fill.py", "--check"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nType: make reference"


def test_the_front_page_shows_one_request_answered_two_ways():
    printed = [block.text for block in blocks_of(DOCS / "index.md") if block.comment == "prints"]

    plain, ours = printed
    assert "anvil 201" in plain
    assert "anvil 409" in ours
    assert all(text.endswith("stored: bolt\n") for text in printed)


def test_nothing_of_a_page_is_loaded_from_elsewhere():
    config = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
    scripts = config["extra_css"] + config["extra_javascript"] + config["extra"]["polyfills"]

    assert config["theme"]["font"] is False
    assert "repo_url" not in config
    assert all((DOCS / path).is_file() for path in [*scripts, config["theme"]["favicon"]])
    loaded = re.compile(r"(?:src=|url\(|import )[\"']?(?:https?:)?//")
    assert [path for path in DOCS.rglob("assets/*") if loaded.search(path.read_text())] == []


def test_git_and_so_a_source_distribution_leaves_the_built_site_out():
    for path in ("site/index.html", "site/0.1/index.html", "build/site/index.html", ".cache/x"):
        done = subprocess.run(["git", "check-ignore", "-q", path], cwd=REPOSITORY, check=False)

        assert done.returncode == 0, path


def pretended(folder, version, told=None):
    """Make what a builder would have made of a version."""
    folder.mkdir()
    (folder / "index.html").write_text(told or version)
    (folder / f"only-{version}.html").write_text("")
    return folder
