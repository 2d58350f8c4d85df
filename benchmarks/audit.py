"""Measure `roadworthy audit`: is it right, and is it fast? `python benchmarks/audit.py`.

`--part right` audits public repositories at the commits that `_audit/labels.jsonl` names
and compares the findings with its labels: places in code that nobody here wrote, which a
person has read and called true or false. It writes `benchmarks/audit.md`. Checkouts are
expected under `--corpus FOLDER/owner+name`; `--clone` makes them (18 repositories).

`--part fast` times the whole command, cold and cached, beside ruff and (where `--semgrep`
names the command) semgrep on the same trees.

A finding matches a label where it has its rule and lies inside its span, or within three
lines of it or of another place that the label accepts. Labels are few for some rules:
read the numbers of labels along with the ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LABELS = HERE / "_audit" / "labels.jsonl"
RESULT = HERE / "audit.md"
NEAR = 3
KNOWN = """The rules were written with these labels at hand: on other code they may do worse. A
false label counts as found also where a true finding of its rule stands in the same function."""
RUNS = 3


@dataclass
class Score:
    """What was found and missed, by confidence."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    quiet: int = 0

    @property
    def precision(self) -> str:
        found = self.right.total() + self.wrong.total()
        return f"{self.right.total() / found:.2f}" if found else "-"

    @property
    def recall(self) -> str:
        true = self.right.total() + self.missed
        return f"{self.right.total() / true:.2f}" if true else "-"


def main() -> None:
    options = read_options()
    corpus = Path(options.corpus).resolve()
    labels = [json.loads(line) for line in LABELS.read_text().splitlines()]
    if options.clone:
        clone(labels, corpus)
    parts = options.part or ["right", "fast"]
    sections = {}
    if "right" in parts:
        sections["right"] = right(labels, corpus)
    if "fast" in parts:
        sections["fast"] = fast(corpus, options.semgrep, options.tree)
    for text in sections.values():
        print(text)
    write(sections)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--part", action="append", choices=["right", "fast"])
    parser.add_argument("--corpus", default=tempfile.gettempdir() + "/audit-corpus")
    parser.add_argument("--clone", action="store_true", help="clone what is missing")
    parser.add_argument("--semgrep", help="the command, with its options, to be timed too")
    parser.add_argument("--tree", help="a folder to be timed instead of the corpus")
    return parser.parse_args()


def write(sections: dict[str, str]) -> None:
    """Replace the sections that were measured, and keep the others."""
    found = {"right": "", "fast": ""}
    if RESULT.exists():
        for text in RESULT.read_text().split("\n## ")[1:]:
            found["right" if text.startswith("Right") else "fast"] = f"## {text.strip()}"
    merged = [text.strip() for text in (found | sections).values() if text]
    RESULT.write_text("# `roadworthy audit`, measured\n\n" + "\n\n".join(merged) + "\n")


def clone(labels: list[dict[str, Any]], corpus: Path) -> None:
    for repo, commit in sorted({(one["repo"], one["commit"]) for one in labels}):
        folder = corpus / repo.replace("/", "+")
        if folder.exists():
            continue
        address = f"https://github.com/{repo}.git"
        command = ["git", "clone", "--quiet", "--filter=blob:none", address, str(folder)]
        subprocess.run(command, check=True)
        subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", commit], check=True)


# --- is it right? ---------------------------------------------------------------------


def right(labels: list[dict[str, Any]], corpus: Path) -> str:
    scores: dict[str, Score] = {one["rule"]: Score() for one in labels}
    sizes = []
    for repo in sorted({one["repo"] for one in labels}):
        folder = corpus / repo.replace("/", "+")
        if not folder.is_dir():
            sys.exit(f"{folder} is missing. Type: python benchmarks/audit.py --clone")
        result, statistics = audited(folder)
        sizes.append((repo, statistics, len(result)))
        for label in (one for one in labels if one["repo"] == repo):
            judge(label, findings_at(label, result), scores[label["rule"]])
    optional = audited_optional(labels, corpus, scores)
    return report(scores, sizes, optional)


def audited(folder: Path, *words: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return what the command says of a folder, with its default rules, and its counts."""
    from roadworthy.audit.rules import RULES
    from roadworthy.audit.run.engine import audit

    command = [sys.executable, "-m", "roadworthy.cli", "audit", "--format", "json", *words, "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode not in {0, 1}:
        sys.exit(done.stderr.decode())
    counted = audit([folder], root=folder, rules=[one for one in RULES if one.default][:1])
    return json.loads(done.stdout), {"files": counted.files, "routes": counted.routes}


def audited_optional(
    labels: list[dict[str, Any]], corpus: Path, scores: dict[str, Score]
) -> set[str]:
    """Judge the rules that are off by default, each selected by its name."""
    from roadworthy.audit.rules import RULES

    off = {one.name for one in RULES if not one.default} & set(scores)
    for name in off:
        scores[name] = Score()
    for repo in sorted({one["repo"] for one in labels if one["rule"] in off}):
        found, _ = audited(corpus / repo.replace("/", "+"), "--select", ",".join(sorted(off)))
        for label in labels:
            if label["repo"] == repo and label["rule"] in off:
                judge(label, findings_at(label, found), scores[label["rule"]])
    return off


def findings_at(label: dict[str, Any], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    places = [(label["file"], *label["span"])]
    accepted = (label, *(label.get("also") or []))
    places += [(one["file"], one["line"] - NEAR, one["line"] + NEAR) for one in accepted]
    return [
        one
        for one in found
        if one["name"] == label["rule"]
        and any(one["path"] == path and low <= one["line"] <= high for path, low, high in places)
    ]


def judge(label: dict[str, Any], found: list[dict[str, Any]], score: Score) -> None:
    confidence = max((one["confidence"] for one in found), key=["medium", "high"].index, default="")
    match label["label"], confidence:
        case True, "":
            score.missed += 1
        case False, "":
            score.quiet += 1
        case True, _:
            score.right[confidence] += 1
        case _:
            score.wrong[confidence] += 1


def report(
    scores: dict[str, Score], sizes: list[tuple[str, dict[str, int], int]], optional: set[str]
) -> str:
    lines = [
        "## Right or wrong",
        "",
        f"`{command_line()}`, on the {sum(map(of_labels, scores.values()))} labels",
        f"of {len(sizes)} public repositories in `_audit/labels.jsonl`.",
        "",
        "| rule | labels true | false | found | wrongly found | precision | recall |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, score in sorted(scores.items()):
        shown = f"`{name}`{' (off by default)' if name in optional else ''}"
        lines.append(f"| {shown} | {row(score)} |")
    total = Score()
    for score in scores.values():
        total.right += score.right
        total.wrong += score.wrong
        total.missed += score.missed
        total.quiet += score.quiet
    lines.append(f"| **all** | {row(total)} |")
    lines.append("\n" + KNOWN)
    for confidence in ("high", "medium"):
        found = total.right[confidence] + total.wrong[confidence]
        ratio = f"{total.right[confidence] / found:.2f}" if found else "-"
        lines.append(f"\nPrecision of {confidence} confidence: {ratio} of {found} found.")
    return "\n".join([*lines, "", *of_repositories(sizes)])


def command_line() -> str:
    return "python benchmarks/audit.py --part right --clone"


def of_labels(score: Score) -> int:
    return score.right.total() + score.wrong.total() + score.missed + score.quiet


def row(score: Score) -> str:
    found, wrong = score.right.total(), score.wrong.total()
    cells = (found + score.missed, wrong + score.quiet, found, wrong, score.precision, score.recall)
    return " | ".join(map(str, cells))


def of_repositories(sizes: list[tuple[str, dict[str, int], int]]) -> Iterator[str]:
    yield "Findings of high and medium confidence for each route; the goal is 0.25."
    yield ""
    yield "| repository | files | routes | findings | for each route |"
    yield "|---|---|---|---|---|"
    for repo, counts, number in sizes:
        routes = counts["routes"]
        ratio = f"{number / routes:.2f}" if routes else "-"
        yield f"| {repo} | {counts['files']} | {routes} | {number} | {ratio} |"


# --- is it fast? ----------------------------------------------------------------------


def fast(corpus: Path, semgrep: str | None, tree: str | None) -> str:
    target = Path(tree).resolve() if tree else corpus
    files = sum(1 for path in target.rglob("*.py") if ".git" not in path.parts)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        ours = [sys.executable, "-m", "roadworthy.cli", "audit", "--format", "json"]
        ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "ALL", "-q"]
        commands = {
            "roadworthy audit, cold": [*ours, "--no-cache"],
            "roadworthy audit, cached": ours,
            "ruff check --select ALL": [*ruff, "--output-format", "json"],
        }
        if semgrep:
            commands["semgrep"] = semgrep.split()
        subprocess.run(
            [*commands["roadworthy audit, cached"], str(target)], capture_output=True, check=False
        )
        times: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
        for _ in range(RUNS):
            for name, command in commands.items():
                times[name].append(timed([*command, str(target)]))
    return "\n".join(of_times(times, files))


def timed(command: list[str]) -> tuple[float, int]:
    """Return the seconds and the largest memory in MB, of a command and what it starts."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.02)
    return time.perf_counter() - start, peak


def memory_of(pid: int) -> int:
    """Return what a process and its children hold for themselves, in MB (Linux)."""
    total = 0
    for one in [pid, *children_of(pid)]:
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total // 1024


def children_of(pid: int) -> list[int]:
    try:
        direct = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*direct, *(below for one in direct for below in children_of(one))]


def of_times(times: dict[str, list[tuple[float, int]]], files: int) -> Iterator[str]:
    yield "## Fast or slow"
    yield ""
    yield f"`python benchmarks/audit.py --part fast`: {files} Python files,"
    yield f"{os.cpu_count()} processors,"
    yield f"the median of {RUNS} runs in turns; memory is the largest seen, of all processes."
    yield ""
    yield "| command | seconds | files a second | MB |"
    yield "|---|---|---|---|"
    for name, runs in times.items():
        median = sorted(seconds for seconds, _ in runs)[len(runs) // 2]
        peak = max(memory for _, memory in runs)
        yield f"| {name} | {median:.2f} | {files / median:,.0f} | {peak} |"


if __name__ == "__main__":
    main()
