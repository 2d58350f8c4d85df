"""Witnesses: whether somebody else's reader takes a file, with all that it says being an error."""

import csv
import gzip
import io
import json
import logging
import re
import shutil
import subprocess
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

__all__ = ["POLICY", "is_genuine"]

POLICY = {
    "active_content",
    "encrypted",
    "path_climbs_out",
    "special_file",
    "too_large_inside",
    "too_many_pixels",
    "too_many_frames",
    "too_many_entries",
    "other_type",
}
"""Reasons that are no matter of the format: the file may be whole, and is not wanted.

`other_type` is a template or a slide show that is called like a document.
"""

ACTING = {"/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/RichMedia", "/GoToE"}
EMBEDDED = {"/JS", "/EF", "/EmbeddedFiles", "/XFA"}


def is_genuine(media_type: str, data: bytes) -> bool:
    """Ask whoever knows the type; where nobody does, a file is not counted."""
    for pattern, witness in WITNESSES.items():
        if re.match(pattern, media_type):
            return _takes(witness, data)
    return False


def _takes(witness: Callable[[bytes], bool], data: bytes) -> bool:
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return witness(data)
    except Exception:  # whatever a reader says of a file that it does not take
        return False
    finally:
        logging.disable(logging.NOTSET)


def image(data: bytes) -> bool:
    from PIL import Image, ImageFile, ImageSequence

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # WeasyPrint takes them, for all of the process
    with Image.open(io.BytesIO(data)) as opened:
        for frame in ImageSequence.Iterator(opened):
            frame.load()
    return True


def archive(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return opened.testzip() is None and _unzips(data)


def _unzips(data: bytes) -> bool:
    """Ask Info-ZIP, too, where it is installed: it warns of what is doubtful."""
    if shutil.which("unzip") is None:
        return True
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data)
        file.flush()
        tested = subprocess.run(
            ["unzip", "-tqq", file.name],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return tested.returncode == 0


def packed(data: bytes) -> bool:
    with gzip.open(io.BytesIO(data)) as opened:
        while opened.read(1024 * 1024):
            pass
    return True


def document(data: bytes) -> bool:
    import pypdfium2

    pdf = pypdfium2.PdfDocument(data)
    try:
        for page in pdf:
            page.close()
    finally:
        pdf.close()
    return _is_quiet(data)


def _is_quiet(data: bytes) -> bool:
    """Read all objects of a PDF strictly, and see that none of them acts."""
    from pypdf import PdfReader
    from pypdf.generic import IndirectObject

    reader = PdfReader(io.BytesIO(data), strict=True)
    if reader.is_encrypted:
        return False
    numbers = [
        (number, generation)
        for generation, found in reader.xref.items()
        for number in found
        if generation < 65535
    ]
    numbers += [(number, 0) for number in reader.xref_objStm]
    found = (reader.get_object(IndirectObject(*one, reader)) for one in numbers)
    return not any(_acts(one) for one in found)


def _acts(value: Any) -> bool:
    if isinstance(value, dict):
        kind = str(value.raw_get("/S")) if hasattr(value, "raw_get") and "/S" in value else ""
        children = value.values() if not hasattr(value, "raw_get") else _raw(value)
        return kind in ACTING or not EMBEDDED.isdisjoint(value) or any(map(_acts, children))
    return isinstance(value, list) and any(map(_acts, value))


def _raw(value: Any) -> list[Any]:
    """Return what is in a dictionary itself: what it refers to is an object of its own."""
    from pypdf.generic import IndirectObject

    found = [value.raw_get(key) for key in value]
    return [one for one in found if not isinstance(one, IndirectObject)]


def text(data: bytes) -> bool:
    return bool(data.decode("utf-8-sig"))


def rows(data: bytes) -> bool:
    return len(list(csv.reader(io.StringIO(data.decode("utf-8-sig")), strict=True))) > 0


def value(data: bytes) -> bool:
    json.loads(data.decode())
    return True


WITNESSES: dict[str, Callable[[bytes], bool]] = {
    r"image/(?!svg)": image,
    r"application/pdf": document,
    r"application/gzip": packed,
    r"application/zip|application/vnd\.|application/epub|application/java-archive": archive,
    r"text/csv": rows,
    r"application/json": value,
    r"text/plain": text,
}
