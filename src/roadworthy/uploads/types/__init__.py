"""File types for `Upload(accept=...)`, and what types of your own are made of.

A file is judged in one pass, by its structure: it has to be whole, with nothing after its end, no
second format inside, nothing that runs, and no bomb. Nothing is decoded. The functions make the
same types with limits of your own.
"""

from roadworthy.uploads.types.gzip import GZIP, gzip_within
from roadworthy.uploads.types.images.gif import GIF, gif
from roadworthy.uploads.types.images.jpeg import JPEG, jpeg
from roadworthy.uploads.types.images.png import PNG, png
from roadworthy.uploads.types.images.webp import WEBP, webp
from roadworthy.uploads.types.inspecting.filetype import (
    HEAD_BYTES,
    Data,
    FileType,
    Inspector,
    Rejected,
)
from roadworthy.uploads.types.office.documents import (
    DOCX,
    ODP,
    ODS,
    ODT,
    PPTX,
    XLSX,
    docx_within,
    odp_within,
    ods_within,
    odt_within,
    pptx_within,
    xlsx_within,
)
from roadworthy.uploads.types.pdf.pdf import PDF, pdf_within
from roadworthy.uploads.types.texts.csv import CSV, csv_within
from roadworthy.uploads.types.texts.html import HTML, html_within
from roadworthy.uploads.types.texts.json import JSON, NDJSON, json_within, ndjson_within
from roadworthy.uploads.types.texts.svg import SVG, svg_within
from roadworthy.uploads.types.texts.text import TEXT, text_within
from roadworthy.uploads.types.zip_archive import ZIP, zip_within

__all__ = [
    "CSV",
    "DOCX",
    "GIF",
    "GZIP",
    "HEAD_BYTES",
    "HTML",
    "JPEG",
    "JSON",
    "NDJSON",
    "ODP",
    "ODS",
    "ODT",
    "PDF",
    "PNG",
    "PPTX",
    "SVG",
    "TEXT",
    "WEBP",
    "XLSX",
    "ZIP",
    "Data",
    "FileType",
    "Inspector",
    "Rejected",
    "csv_within",
    "docx_within",
    "gif",
    "gzip_within",
    "html_within",
    "jpeg",
    "json_within",
    "ndjson_within",
    "odp_within",
    "ods_within",
    "odt_within",
    "pdf_within",
    "png",
    "pptx_within",
    "svg_within",
    "text_within",
    "webp",
    "xlsx_within",
    "zip_within",
]
