"""More programs whose files are honest: what `make bench` installs, and the tests do not need."""

import io
from collections.abc import Callable

import pyarrow
import pyarrow.csv
import pymupdf
import weasyprint

__all__ = ["FILES"]

PAGE = """<!doctype html><html lang=de><title>Über JavaScript</title>
<style>h1 { color: teal; page-break-after: always } td { border: 1px solid }</style>
<h1>Rechnung</h1><a href="https://example.org/Launch">a link</a><a href="#end">inside</a>
<form><input name=a value=1><input type=checkbox></form>
<table>{rows}</table><svg width=90 height=90><circle cx=40 cy=40 r=30 /></svg><p id=end>Ende"""


def _weasyprint() -> dict[str, bytes]:
    rows = "".join(f"<tr><td>{n}<td>{n * n}" for n in range(200))
    page = weasyprint.HTML(string=PAGE.replace("{rows}", rows))
    forms = {
        "usual": {},
        "plain": {"uncompressed_pdf": True},
        "a-3b": {"pdf_variant": "pdf/a-3b"},
        "ua-1": {"pdf_variant": "pdf/ua-1"},
        "form": {"pdf_forms": True},
    }
    return {f"{name}.pdf": page.write_pdf(**options) for name, options in forms.items()}


def _pymupdf() -> dict[str, bytes]:
    document = pymupdf.open()
    for number in range(5):
        page = document.new_page()
        page.insert_text((72, 72), f"Page {number}, about /JavaScript")
        link = {"kind": pymupdf.LINK_URI, "from": pymupdf.Rect(72, 72, 200, 90)}
        page.insert_link({**link, "uri": "https://example.org/wiki/JavaScript"})
        page.add_highlight_annot(pymupdf.Rect(72, 60, 200, 80))
    document.set_toc([[1, "Launch", 1], [2, "JavaScript", 2]])
    document.set_metadata({"title": "A Launch", "author": "Ann"})
    image = document[0].get_pixmap()
    forms = {
        "usual": {},
        "clean": {"garbage": 4, "deflate": True, "clean": True},
        "streams": {"use_objstms": True},
        "ascii": {"ascii": True, "pretty": True},
    }
    found = {f"{name}.pdf": document.tobytes(**options) for name, options in forms.items()}
    return found | {"page.png": image.tobytes("png"), "page.jpg": image.tobytes("jpeg")}


def _pyarrow() -> dict[str, bytes]:
    columns = {"name": ["Zoë", 'says "hi"', None], "n": [1, 2, 3], "x": [0.5, None, 1e300]}
    table = pyarrow.table(columns)
    found = {}
    for style in ("needed", "all_valid"):
        pyarrow.csv.write_csv(
            table, file := io.BytesIO(), pyarrow.csv.WriteOptions(quoting_style=style)
        )
        found[f"{style}.csv"] = file.getvalue()
    return found


FILES: dict[str, Callable[[], dict[str, bytes]]] = {
    "WeasyPrint": _weasyprint,
    "PyMuPDF": _pymupdf,
    "pyarrow": _pyarrow,
}
