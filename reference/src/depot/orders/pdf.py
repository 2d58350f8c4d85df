"""Make the PDF of an invoice.

This runs in a process of its own, which imports what is imported here: no database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from typing import Final
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    LongTable,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    TableStyle,
)

__all__ = ["Invoice", "Line", "render"]

_FONT: Final = "Vera"  # comes with the library; Latin letters, not only those of the west
_BOLD: Final = "VeraBd"
_WIDTHS: Final = (75 * mm, 25 * mm, 35 * mm, 39 * mm)
_MARGIN: Final = 18 * mm


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice, as it is printed."""

    item_id: str
    quantity: str
    unit_price: str
    amount: str


@dataclass(frozen=True, slots=True)
class Invoice:
    """All that an invoice says: values only, so that it travels to another process."""

    order_id: str
    date: str
    customer_email: str
    lines: tuple[Line, ...]
    total: str


def render(invoice: Invoice) -> bytes:
    """Return the PDF: the same bytes for the same invoice, on as many pages as it takes."""
    for name in (_FONT, _BOLD):
        _font(name)
    file = BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=f"Invoice {invoice.order_id}",
        author="Depot",
        invariant=1,  # no time of its making in it
    )
    footer = partial(_number_page, invoice)
    document.build(_content(invoice), onFirstPage=footer, onLaterPages=footer)
    return file.getvalue()


def _content(invoice: Invoice) -> list[Flowable]:
    return [
        _text("Invoice", font=_BOLD, size=16),
        Spacer(0, 6 * mm),
        _text(f"Order: {invoice.order_id}"),
        _text(f"Date: {invoice.date}"),
        _text(f"Customer: {invoice.customer_email}"),
        Spacer(0, 8 * mm),
        _table(invoice),
    ]


def _table(invoice: Invoice) -> LongTable:
    rows = [
        _row("Item", "Quantity", "Unit price", "Amount", font=_BOLD),
        *(_row(n.item_id, n.quantity, n.unit_price, n.amount) for n in invoice.lines),
        _row("Total", "", "", invoice.total, font=_BOLD),
    ]
    style = TableStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.7, colors.black),
            ("LINEABOVE", (0, -1), (-1, -1), 0.7, colors.black),
        ]
    )
    return LongTable(rows, colWidths=_WIDTHS, repeatRows=1, style=style)


def _row(item: str, *numbers: str, font: str = _FONT) -> list[Paragraph]:
    return [_text(item, font=font), *(_text(n, font=font, right=True) for n in numbers)]


def _text(text: str, *, font: str = _FONT, size: int = 9, right: bool = False) -> Paragraph:
    return Paragraph(escape(_printable(text)), _style(font, size, right=right))


@cache
def _style(font: str, size: int, *, right: bool) -> ParagraphStyle:
    # "CJK" breaks lines between any two characters: long ids have no spaces to break at.
    style = ParagraphStyle(font, fontName=font, fontSize=size, leading=size * 1.35, wordWrap="CJK")
    if right:
        style.alignment = TA_RIGHT
    return style


def _printable(text: str) -> str:
    """Show what the font has no letter for as a question mark, not as nothing."""
    known: Mapping[int, int] = _font(_FONT).face.charToGlyph
    return "".join(letter if ord(letter) in known else "?" for letter in text)


def _number_page(invoice: Invoice, canvas: Canvas, document: BaseDocTemplate) -> None:
    canvas.setFont(_FONT, 7)
    canvas.drawCentredString(A4[0] / 2, 10 * mm, f"{invoice.order_id} - {document.page}")


@cache
def _font(name: str) -> TTFont:
    font = TTFont(name, f"{name}.ttf")
    pdfmetrics.registerFont(font)  # pyright: ignore[reportUnknownMemberType] - as its stubs have it
    return font
