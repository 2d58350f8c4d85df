"""Files made by the programs that people use, in the forms that they offer: `made(folder)`."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import docx
import fpdf
import odf.opendocument
import odf.table
import odf.text
import openpyxl
import openpyxl.chart
import pikepdf
import pptx
import pptx.util
import xlsxwriter
from PIL import Image
from reportlab.pdfgen import canvas

__all__ = ["FILES", "made", "write", "write_polyglots"]

Made = dict[str, bytes]
TEXTS = ("csv", "json", "ndjson", "svg")
"""What the names of files end in that are text."""
FILES: dict[str, Callable[[], Made]] = {}
"""What each producer makes, by its name: files by theirs, whose suffixes tell their types."""


@cache
def made() -> dict[str, bytes]:
    """Return all files, by `producer/name.suffix`."""
    return {f"{one}/{name}": data for one, make in FILES.items() for name, data in make().items()}


def write(folder: Path) -> None:
    """Write all files into a folder, one folder for each producer."""
    _write(folder, made())


def write_polyglots(folder: Path) -> None:
    """Write each file that is no text with another after it: a ZIP, a PDF, a script."""
    files = {name: data for name, data in made().items() if not name.endswith(TEXTS)}
    after = {
        "zip": files["zipfile/packed.zip"],
        "pdf": files["reportlab/packed.pdf"],
        "script": b"<script>alert(1)</script>",
    }
    both = {f"{more}/{name}": data + after[more] for more in after for name, data in files.items()}
    _write(folder, both)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


# --- images ---------------------------------------------------------------------------


def _pillow() -> Made:
    noise = Image.effect_noise((90, 61), 60)
    colours = Image.merge("RGB", (noise, Image.linear_gradient("L").resize((90, 61)), noise))
    found: Made = {}
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = Image.new("I;16", (90, 61), 777) if mode == "I;16" else colours.convert(mode)
        for level in (0, 1, 9):
            found[f"{mode.replace(';', '')}-{level}.png"] = _saved(
                lambda file, image=image, level=level: image.save(file, "PNG", compress_level=level)
            )
    for quality in (5, 75, 95):
        for progressive in (False, True):
            found[f"{quality}-{progressive}.jpg"] = _saved(
                lambda file, q=quality, p=progressive: colours.save(
                    file, "JPEG", quality=q, progressive=p, dpi=(300, 300)
                )
            )
    frames = [colours.rotate(30 * n) for n in range(5)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 80, "loop": 0}
    for suffix, kind in ((".gif", "GIF"), (".png", "PNG"), (".webp", "WEBP")):
        found[f"animated{suffix}"] = _saved(
            lambda file, kind=kind: frames[0].save(file, kind, **options)
        )
    for name, more in {"lossy": {}, "lossless": {"lossless": True}}.items():
        found[f"{name}.webp"] = _saved(lambda file, more=more: colours.save(file, "WEBP", **more))
    found["still.gif"] = _saved(lambda file: colours.save(file, "GIF", interlace=1))
    found["pages.pdf"] = _saved(
        lambda file: frames[0].save(file, "PDF", save_all=True, append_images=frames[1:])
    )
    return found


# --- PDF ------------------------------------------------------------------------------


def _reportlab(*, compressed: int = 1, version: tuple[int, int] = (1, 4)) -> bytes:
    file = io.BytesIO()
    page = canvas.Canvas(file, pageCompression=compressed, pdfVersion=version)
    page.setTitle("On JavaScript and /Launch")
    page.bookmarkPage("one")
    page.addOutlineEntry("HTML/CSS/JavaScript", "one")
    page.drawString(72, 700, "A page of words (with brackets) and /OpenAction")
    page.linkURL("https://en.wikipedia.org/wiki/JavaScript", (72, 690, 300, 720))
    page.acroForm.textfield(name="name", value="JavaScript", x=72, y=600)
    page.acroForm.checkbox(name="yes", x=72, y=560)
    page.showPage()
    page.drawString(72, 700, "Another")
    page.save()
    return file.getvalue()


def _reportlabs() -> Made:
    return {
        "packed.pdf": _reportlab(),
        "plain.pdf": _reportlab(compressed=0),
        "newer.pdf": _reportlab(version=(1, 7)),
    }


def _fpdf2() -> Made:
    page = fpdf.FPDF()
    page.set_title("Ein Titel: /JS und Grüße")
    page.add_page()
    page.set_font("Helvetica", size=12)
    page.start_section("JavaScript")
    page.cell(text="Words and a link", link="https://example.org/JavaScript")
    page.text_annotation(40, 40, "A note on /Launch")
    with page.table() as rows:
        for _ in range(3):
            rows.row(["a", "b", "c"])
    page.image(Image.linear_gradient("L"), x=20, y=90, w=40)
    return {"table.pdf": bytes(page.output())}


def _pikepdf() -> Made:
    forms = {
        "objects": {"object_stream_mode": pikepdf.ObjectStreamMode.generate},
        "no-objects": {"object_stream_mode": pikepdf.ObjectStreamMode.disable},
        "linearized": {"linearize": True},
        "plain": {"compress_streams": False, "qdf": True},
    }
    found: Made = {}
    for name, options in forms.items():
        with pikepdf.open(io.BytesIO(_reportlab())) as document:
            found[f"{name}.pdf"] = _saved(
                lambda file, document=document, options=options: document.save(file, **options)
            )
    return found


# --- office ---------------------------------------------------------------------------


def _openpyxl() -> Made:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in range(200):
        sheet.append([row, f"cell {row}", date(2024, 1, 1), f"=A{row + 1}*2"])
    sheet["F1"].hyperlink = "https://example.org/a?b=c"
    chart = openpyxl.chart.BarChart()
    chart.add_data(openpyxl.chart.Reference(sheet, min_col=1, min_row=1, max_row=9))
    sheet.add_chart(chart, "H2")
    many = openpyxl.Workbook(write_only=True)
    for number in range(30):
        many.create_sheet(f"Sheet {number}").append([number] * 20)
    return {"chart.xlsx": _saved(book.save), "sheets.xlsx": _saved(many.save)}


def _xlsxwriter() -> Made:
    def save(file: io.BytesIO, **options: bool) -> None:
        with xlsxwriter.Workbook(file, {"in_memory": True, **options}) as book:
            sheet = book.add_worksheet("Grüße")
            sheet.write_row(0, 0, ["a", 1, 2.5, True])
            sheet.write_url(1, 0, "mailto:someone@example.org")
            sheet.write_url(2, 0, "internal:'Grüße'!A1")
            sheet.write_comment("A1", "A note")
            sheet.insert_image("D4", "a.png", {"image_data": io.BytesIO(_pillow()["RGB-9.png"])})

    return {
        "usual.xlsx": _saved(save),
        "constant.xlsx": _saved(lambda file: save(file, constant_memory=True)),
        "zip64.xlsx": _saved(lambda file: save(file, use_zip64=True)),
    }


def _python_docx() -> Made:
    text = docx.Document()
    text.add_heading("A letter about JavaScript", 0)
    text.add_paragraph("Words", style="List Bullet")
    text.add_table(rows=3, cols=3)
    text.add_picture(io.BytesIO(_pillow()["RGB-1.png"]))
    text.add_page_break()
    text.sections[0].header.paragraphs[0].text = "Above"
    text.core_properties.title = "vbaProject.bin"
    return {"letter.docx": _saved(text.save), "empty.docx": _saved(docx.Document().save)}


def _python_pptx() -> Made:
    def deck(slides: int) -> pptx.Presentation:
        shown = pptx.Presentation()
        for number in range(slides):
            slide = shown.slides.add_slide(shown.slide_layouts[1])
            slide.shapes.title.text = f"Slide {number}"
            slide.notes_slide.notes_text_frame.text = "Say it"
        return shown

    return {"few.pptx": _saved(deck(3).save), "many.pptx": _saved(deck(60).save)}


def _odfpy() -> Made:
    text = odf.opendocument.OpenDocumentText()
    text.text.addElement(odf.text.P(text="Words about macros"))
    sheet = odf.opendocument.OpenDocumentSpreadsheet()
    table = odf.table.Table(name="One")
    row = odf.table.TableRow()
    row.addElement(odf.table.TableCell(valuetype="float", value="1"))
    table.addElement(row)
    sheet.spreadsheet.addElement(table)
    return {"words.odt": _saved(text.write), "cells.ods": _saved(sheet.write)}


# --- archives and text ----------------------------------------------------------------


def _zipfile() -> Made:
    found: Made = {}
    methods = {"stored": zipfile.ZIP_STORED, "packed": zipfile.ZIP_DEFLATED}
    for name, method in methods.items():
        with zipfile.ZipFile(file := io.BytesIO(), "w", method) as archive:
            archive.mkdir("folder")
            archive.writestr("folder/Grüße.txt", "words " * 1000)
            archive.writestr("a.png", _pillow()["L-1.png"])
            archive.comment = b"a comment"
            with archive.open("large.txt", "w", force_zip64=True) as large:
                large.write(b"more " * 1000)
        found[f"{name}.zip"] = file.getvalue()
    return found


def _gzip_and_tarfile() -> Made:
    forms = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}
    found: Made = {
        "words.gz": gzip.compress(b"words " * 500),
        "two-members.gz": gzip.compress(b"a") + gzip.compress(b"b"),
    }
    for name, form in forms.items():
        with tarfile.open(fileobj=(file := io.BytesIO()), mode="w:gz", format=form) as archive:
            entry = tarfile.TarInfo("folder/" + "long" * 20 + ".txt")
            entry.size = 6
            archive.addfile(entry, io.BytesIO(b"words\n"))
        found[f"{name}.tar.gz"] = file.getvalue()
    return found


def _csv_and_json() -> Made:
    found: Made = {}
    for dialect in ("excel", "unix"):
        writer = csv.writer(file := io.StringIO(), dialect=dialect)
        writer.writerows([["name", "note"], ["Zoë", 'says "hi",\nand goes'], ["=1+1", "<b>"]])
        found[f"{dialect}.csv"] = file.getvalue().encode()
        found[f"{dialect}-bom.csv"] = file.getvalue().encode("utf-8-sig")
    value = {"a": [1, 2.5, None, True, "Grüße <script>"], "b": {"c": "x" * 5000}}
    for indent in (None, 2, "\t"):
        for ascii_only in (True, False):
            text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
            found[f"{indent!r:.3}-{ascii_only}.json".replace("'", "").replace("\\", "")] = (
                text.encode()
            )
    return found


FILES |= {
    "Pillow": _pillow,
    "reportlab": _reportlabs,
    "fpdf2": _fpdf2,
    "pikepdf": _pikepdf,
    "openpyxl": _openpyxl,
    "xlsxwriter": _xlsxwriter,
    "python-docx": _python_docx,
    "python-pptx": _python_pptx,
    "odfpy": _odfpy,
    "zipfile": _zipfile,
    "gzip-and-tarfile": _gzip_and_tarfile,
    "csv-and-json": _csv_and_json,
}
