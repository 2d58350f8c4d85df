"""Documents, sheets and slides: of OOXML (ECMA-376) and of OpenDocument.

A document is a ZIP. It is read as `ZIP` is, and its parts are inspected as they stream. A
document is rejected if something in it runs, or is fetched when the file is opened: macros,
controls, embedded OLE objects, DDE, and pictures, sheets or templates on other machines. Links to
click on may lead to the web, to a person, to a file beside the document, or to a file of the
reader's own machine (`links.py`).

Encrypted documents are no ZIP, or are rejected. Documents with macros (.docm, .xlsm) and templates
are of other types, and not accepted.
"""

import re
from collections.abc import Callable
from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import GiB
from roadworthy.uploads.types.inspecting.decompression import MAX_RATIO
from roadworthy.uploads.types.inspecting.filetype import FileType
from roadworthy.uploads.types.inspecting.push_parser import PushParser
from roadworthy.uploads.types.office.document_types import ODF, OPC
from roadworthy.uploads.types.office.odf import Odf
from roadworthy.uploads.types.office.opc import DocumentFamily
from roadworthy.uploads.types.office.zip_or_office import ArchiveKind, ZipOrOffice
from roadworthy.uploads.types.zip.records import ARCHIVES, LOCAL
from roadworthy.uploads.types.zip.walk import Contents, Walk, ZipLimits

__all__ = [
    "DOCX",
    "ODP",
    "ODS",
    "ODT",
    "PPTX",
    "XLSX",
    "docx_within",
    "odp_within",
    "ods_within",
    "odt_within",
    "pptx_within",
    "xlsx_within",
]

MAX_ENTRIES: Final = 10_000
"""The most entries: a presentation of 500 slides has some 3,000 parts."""
MAX_EXPANDED: Final = 1 * GiB
"""The most unpacked bytes: a million rows of ten columns are some 400 MiB of XML."""

_WORD: Final = DocumentFamily("word/", f"{OPC}wordprocessingml.document.main+xml")
_SHEETS: Final = DocumentFamily(
    "xl/",
    f"{OPC}spreadsheetml.sheet.main+xml",
    tables=("xl/worksheets/", "xl/sharedstrings.xml"),
)
_SLIDES: Final = DocumentFamily("ppt/", f"{OPC}presentationml.presentation.main+xml")
_OLD: Final = {
    "word": ("application/msword", "application/vnd.ms-word", "application/x-msword"),
    "excel": (
        "application/vnd.ms-excel",
        "application/vnd.msexcel",
        "application/msexcel",
        "application/x-msexcel",
        "application/excel",
    ),
    "powerpoint": (
        "application/vnd.ms-powerpoint",
        "application/mspowerpoint",
        "application/x-mspowerpoint",
        "application/powerpoint",
    ),
}
"""Media types that name only the program."""
_NAME: Final = re.compile(
    rb"PK\x03\x04.{26}((?:word|xl|ppt|_rels|docProps)/|\[Content_)", re.DOTALL
)


@limited
def docx_within(
    *,
    max_entries: int = MAX_ENTRIES,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
) -> FileType:
    """Make a `DOCX` with limits of your own, as `zip_within` explains them."""
    limits = _limits(max_entries, max_expanded, max_ratio)
    return _opc("wordprocessingml.document", ".docx", _WORD, limits, "word")


@limited
def xlsx_within(
    *,
    max_entries: int = MAX_ENTRIES,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
) -> FileType:
    """Make an `XLSX` with limits of your own, as `zip_within` explains them."""
    limits = _limits(max_entries, max_expanded, max_ratio)
    return _opc("spreadsheetml.sheet", ".xlsx", _SHEETS, limits, "excel")


@limited
def pptx_within(
    *,
    max_entries: int = MAX_ENTRIES,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
) -> FileType:
    """Make a `PPTX` with limits of your own, as `zip_within` explains them."""
    limits = _limits(max_entries, max_expanded, max_ratio)
    return _opc("presentationml.presentation", ".pptx", _SLIDES, limits, "powerpoint")


@limited
def odt_within(
    *,
    max_entries: int = MAX_ENTRIES,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
) -> FileType:
    """Make an `ODT` with limits of your own, as `zip_within` explains them."""
    return _odf("text", ".odt", _limits(max_entries, max_expanded, max_ratio))


@limited
def ods_within(
    *,
    max_entries: int = MAX_ENTRIES,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
) -> FileType:
    """Make an `ODS` with limits of your own, as `zip_within` explains them."""
    return _odf("spreadsheet", ".ods", _limits(max_entries, max_expanded, max_ratio))


@limited
def odp_within(
    *,
    max_entries: int = MAX_ENTRIES,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
) -> FileType:
    """Make an `ODP` with limits of your own, as `zip_within` explains them."""
    return _odf("presentation", ".odp", _limits(max_entries, max_expanded, max_ratio))


def _limits(max_entries: int, max_expanded: int, max_ratio: float) -> ZipLimits:
    return ZipLimits(max_entries=max_entries, max_expanded=max_expanded, max_ratio=max_ratio)


def _opc(
    name: str, extension: str, family: DocumentFamily, limits: ZipLimits, old_name: str
) -> FileType:
    def matches(head: bytes) -> bool:
        found = _NAME.findall(head) if head.startswith(LOCAL) else []
        folders = [folder for folder in (b"word/", b"xl/", b"ppt/") if folder in found]
        return bool(found) and (not folders or family.folder.encode() in folders)

    return FileType(
        OPC + name,
        extension,
        matches,
        ArchiveKind(limits, family),
        aliases=(*ARCHIVES, *_OLD[old_name]),
        together=ZipOrOffice,
    )


def _odf(name: str, extension: str, limits: ZipLimits) -> FileType:
    media_type = ODF + name
    # The first entry tells the type at a fixed place (OpenDocument 1.3, part 2, §3.3).
    first = re.compile(
        rb"PK\x03\x04.{22}\x08\0\0\0mimetype%sPK" % re.escape(media_type).encode(), re.DOTALL
    )

    return FileType(
        media_type,
        extension,
        lambda head: first.match(head) is not None,
        _inspector(limits, lambda: Odf(media_type)),
        aliases=(*ARCHIVES, f"application/x-vnd.oasis.opendocument.{name}"),
    )


def _inspector(limits: ZipLimits, contents: Callable[[], Contents]) -> Callable[[], PushParser]:
    return lambda: PushParser(Walk(limits, contents()).read)


DOCX: Final = docx_within()
"""Word's documents."""
XLSX: Final = xlsx_within()
"""Excel's workbooks. Links to other workbooks are fetched, and so rejected."""
PPTX: Final = pptx_within()
"""PowerPoint's presentations."""
ODT: Final = odt_within()
"""OpenDocument's texts."""
ODS: Final = ods_within()
"""OpenDocument's spreadsheets."""
ODP: Final = odp_within()
"""OpenDocument's presentations."""
