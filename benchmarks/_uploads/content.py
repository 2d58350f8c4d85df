"""Content: what the inspectors say of files that others made, hostile ones and honest ones."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from _jobs.common import table

from _uploads.corpora import Corpus, opened
from _uploads.witnesses import POLICY, is_genuine
from roadworthy.uploads import types
from roadworthy.uploads.types import HEAD_BYTES, FileType, Rejected

__all__ = ["content_table", "producers_table"]

PIECE = 256 * 1024
TAKEN, TRAILING = "taken", "trailing_data"
POLYGLOT, HONEST = "polyglots", "honest"
UNDECIDED = "neither"
MADE = "producers"
"""The folder of what our tests make with well-known programs: honest without a witness."""
MADE_POLYGLOTS = "producers-polyglots"

HOSTILE = {
    MADE_POLYGLOTS: re.compile(""),
    "mitra": re.compile(""),
    "mitra-large": re.compile(""),
    "pocs": re.compile(r"^poly/(?!.*(CorkaMIX\.zip|\.png)$)"),
    "phar-jpg-polyglot": re.compile(r"^out\."),
    "PayloadsAllTheThings": re.compile(r"^Upload Insecure Files/Picture Compression/"),
}
"""Which files are polyglots by a corpus' own account; its others are left out."""

BROKEN = re.compile(
    r"fuzz|crash|broken|corrupt|invalid|/bad|bad[-_]|[-_]bad|malform|truncat|trailing|trailer|"
    r"bytes_after|_after_idat|idat_after|padded_idat|duplicate|junk|ff00|oob|oversized|bomb|"
    r"[-_]dos|oom|timeout|[-_]fail|error|ImageTestSuite/|/x\w{7}\.png$",
    re.IGNORECASE,
)
"""Names by which a corpus says that a file is wrong on purpose; the last are PngSuite's."""
OTHERS = re.compile(r"\.apk$|/metadata/.*\.txt$")
"""Types of their own, and dumps of binary data."""
SECTOR = 512
TOLD_BY_SUFFIX = re.compile(r"text/|application/(?:json|xml|x-ndjson|vnd\.)|image/svg")
TEXTUAL = re.compile(r"text/|application/json|application/xml")


def content_table(corpora: list[Path], folder: Path) -> list[str]:
    """Judge every file of some folders as an upload would, in pieces of 256 KiB.

    A file's type is told by its first 4 KiB, over all types that the library offers; where
    several fit, by its suffix. Text and documents that are ZIP are judged as such where the suffix
    says so, and the latter as ZIP elsewhere.
    A content that is there twice is judged once.

    *Polyglots* are those that their authors call so: what Mitra makes of its sample files,
    two at a time, what Corkami keeps under `poly` (but for its screenshots, and an archive of a
    program), and pictures with PHP in them. Whatever does not begin as
    one of our types would be refused as no type that is taken, and is not counted.

    *Honest* is a file that an independent witness takes, and whose name does not say that it is
    wrong on purpose (`fuzzed`, `corrupt`, `trailer`, ...). Images: Pillow decodes every frame with
    warnings as errors. A JPEG whose size is a whole number of sectors of 512 bytes is left out:
    most are copies of a disk, with web pages and programs in what lies behind the picture.
    ZIP, and documents that are: `zipfile.testzip`, and `unzip -t` without a warning; Android's
    packages, whose signature lies between entries and directory, are a type of their own. gzip:
    Python unpacks it. PDF: PDFium opens it and loads its pages, pypdf in its strict mode reads
    every object, and there is no encryption, script, attachment, form of XFA, or action that
    starts or sends something. Text: it decodes and parses.

    None of these witnesses minds bytes after the end, which no type takes: such files have a
    row of their own. Zeros and ends of lines are taken. What is refused as a policy of a type
    (macros, encryption, devices, names that climb, bombs), or is told to be of another type than
    its name says (a template), is no false alarm either, and has the last row.
    """
    if not corpora:
        return ["Not measured: no corpora were named (`--corpora FOLDER`)."]
    verdicts = list(_judged([*_made(folder), *corpora]))
    return [*_prose(), "", *_tables(verdicts)]


def producers_table(folder: Path) -> list[str]:
    """Judge the files that the tests make with well-known programs, and polyglots of them."""
    return _tables(list(_judged(_made(folder))))


def _made(folder: Path) -> list[Path]:
    """Write what the tests make into two folders, and polyglots of them into the second."""
    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from _uploads.producers import FILES
    from support import producers

    producers.FILES.update(FILES)
    producers.write(folder / MADE)
    producers.write_polyglots(folder / MADE_POLYGLOTS)
    return [folder / MADE, folder / MADE_POLYGLOTS]


def _prose() -> list[str]:
    paragraphs = (content_table.__doc__ or "").strip().split("\n\n")
    return [line.strip() for one in paragraphs for line in (*one.splitlines(), "")][:-1]


# --- judging --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file."""

    corpus: Corpus
    kind: str
    path: str
    type: str
    outcome: str
    """`taken`, or the reason why it is not."""


def _judged(folders: list[Path]) -> Iterator[Verdict]:
    offered = _offered()
    seen: set[int] = set()
    for folder in folders:
        with opened(folder) as corpus:
            for path, data in corpus.files():
                kind_of_file = _type_of(path, data, offered)
                if kind_of_file is None or hash(data) in seen:
                    continue
                seen.add(hash(data))
                kind = _kind(corpus, path, data, kind_of_file)
                if kind != UNDECIDED:
                    outcome = _outcome(kind_of_file, data)
                    yield Verdict(corpus, kind, path, kind_of_file.extension, outcome)


def _offered() -> list[FileType]:
    """Return the types that are there to be listed in `Upload(accept=...)`."""
    found = [getattr(types, name) for name in types.__all__]
    return [one for one in found if isinstance(one, FileType)]


def _type_of(path: str, data: bytes, offered: list[FileType]) -> FileType | None:
    head, suffix = data[:HEAD_BYTES], Path(path).suffix.lower()
    fitting = [one for one in offered if head and one.matches(head)]
    named = [one for one in fitting if one.extension == suffix]
    told = named or [one for one in fitting if not TOLD_BY_SUFFIX.match(one.media_type)]
    return told[0] if told else None


def _kind(corpus: Corpus, path: str, data: bytes, file_type: FileType) -> str:
    if corpus.name == MADE:
        return HONEST
    if corpus.name in HOSTILE:
        is_one = HOSTILE[corpus.name].search(path) and not TEXTUAL.match(file_type.media_type)
        return POLYGLOT if is_one else UNDECIDED
    if BROKEN.search(path) or OTHERS.search(path) or _is_copy_of_disk(file_type, data):
        return UNDECIDED
    return HONEST if is_genuine(file_type.media_type, data) else UNDECIDED


def _is_copy_of_disk(file_type: FileType, data: bytes) -> bool:
    return file_type.media_type == "image/jpeg" and len(data) % SECTOR == 0


def _outcome(file_type: FileType, data: bytes) -> str:
    inspector = file_type.inspector()
    try:
        for at in range(0, len(data), PIECE):
            inspector.feed(memoryview(data)[at : at + PIECE])
        inspector.finish()
    except Rejected as rejected:
        return rejected.reason
    except Exception as error:  # a defect of ours, to be seen in the table
        return f"**{type(error).__name__}**"
    return TAKEN


# --- telling --------------------------------------------------------------------------


@dataclass(slots=True)
class Row:
    """What became of the files of one corpus and type."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


def _tables(verdicts: list[Verdict]) -> list[str]:
    rows: dict[tuple[str, str, str, str], Row] = {}
    for one in verdicts:
        key = (one.corpus.name, one.corpus.commit, one.kind, one.type)
        row = rows.setdefault(key, Row())
        row.files += 1
        row.outcomes[one.outcome] += 1
    head = ["corpus", "commit", "kind", "type", "files", "taken", "refused"]
    cells = [[*key, *_cells(row)] for key, row in rows.items()]
    return [
        table(head, cells or [["none"] * 7]),
        "",
        *_sums(verdicts),
        "",
        "Polyglots that were taken:",
        *_listed(one for one in verdicts if one.kind == POLYGLOT and one.outcome == TAKEN),
        "",
        "Honest files that were refused:",
        *_listed(one for one in verdicts if _is_false_alarm(one)),
    ]


def _cells(row: Row) -> list[str]:
    refused = [(reason, count) for reason, count in row.outcomes.most_common() if reason != TAKEN]
    told = ", ".join(f"{count} {reason}" for reason, count in refused)
    return [str(row.files), str(row.outcomes[TAKEN]), told or "-"]


def _sums(verdicts: list[Verdict]) -> list[str]:
    hostile = [one for one in verdicts if one.kind == POLYGLOT]
    honest = [one for one in verdicts if one.kind == HONEST and one.outcome not in POLICY]
    refused = [one for one in honest if one.outcome != TAKEN]
    longer = sum(one.outcome == TRAILING for one in refused)
    taken = sum(one.outcome == TAKEN for one in hostile)
    against = sum(one.kind == HONEST and one.outcome in POLICY for one in verdicts)
    rows = [
        ["polyglots that were taken", len(hostile), taken, _ratio(taken, len(hostile))],
        ["honest files that were refused", len(honest), len(refused), _share(refused, honest)],
        ["of these, for bytes after their end", len(honest), longer, "-"],
        ["honest files refused as a policy", len(honest) + against, against, "-"],
    ]
    goals = "1 in 100 at most", "0.5 % at most", "-", "-"
    head = ["kind", "files", "of these", "which is", "goal"]
    return [table(head, [[*map(str, row), goal] for row, goal in zip(rows, goals, strict=True)])]


def _share(some: list[Verdict], all_of_them: list[Verdict]) -> str:
    return f"{100 * len(some) / len(all_of_them):.2f} %" if all_of_them else "-"


def _ratio(some: int, all_of_them: int) -> str:
    return f"1 in {all_of_them / some:.0f}" if some else f"0 in {all_of_them}"


def _is_false_alarm(one: Verdict) -> bool:
    return one.kind == HONEST and one.outcome != TAKEN and one.outcome not in POLICY


def _listed(verdicts: Iterator[Verdict]) -> list[str]:
    lines = [f"- {one.corpus.name}: `{one.path}` ({one.type}), {one.outcome}" for one in verdicts]
    return ["", *lines] if lines else ["", "- none"]
