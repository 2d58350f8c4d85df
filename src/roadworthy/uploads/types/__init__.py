"""What files may be: values for `Upload(accept=...)`, and types of your own.

Each is judged in one pass, by its structure: whole, nothing after its end, no second format
inside, nothing that acts, no bomb. Nothing is decoded. The functions make the same types with
limits of your own.
"""

from roadworthy.uploads.types.csv import CSV, csv_within
from roadworthy.uploads.types.filetype import HEAD_BYTES, Data, FileType, Inspector, Rejected
from roadworthy.uploads.types.gif import GIF, gif
from roadworthy.uploads.types.gzip import GZIP, gzip_within
from roadworthy.uploads.types.jpeg import JPEG, jpeg
from roadworthy.uploads.types.json import JSON, NDJSON, json_within, ndjson_within
from roadworthy.uploads.types.pdf import PDF, pdf_within
from roadworthy.uploads.types.png import PNG, png
from roadworthy.uploads.types.text import TEXT, text_within
from roadworthy.uploads.types.webp import WEBP, webp
from roadworthy.uploads.types.zip import ZIP, zip_within

__all__ = [
    "CSV",
    "GIF",
    "GZIP",
    "HEAD_BYTES",
    "JPEG",
    "JSON",
    "NDJSON",
    "PDF",
    "PNG",
    "TEXT",
    "WEBP",
    "ZIP",
    "Data",
    "FileType",
    "Inspector",
    "Rejected",
    "csv_within",
    "gif",
    "gzip_within",
    "jpeg",
    "json_within",
    "ndjson_within",
    "pdf_within",
    "png",
    "text_within",
    "webp",
    "zip_within",
]
